"""A chat tool's webhook: an HTTP or HTTPS server that keeps what is posted to it."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from doubles.certificates import Authority
from doubles.serving import at_work


@dataclass
class Chat:
    """`answers` are the codes of the next answers, 200 after them."""

    address: str
    answers: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]


@contextmanager
def chat(folder: Path | None = None) -> Iterator[Chat]:
    """A server at http://127.0.0.1; with a folder at https://localhost, its authority in `folder`/ca.pem."""
    tool = Chat("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            tool.paths.append(self.path)
            tool.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(tool.answers.pop(0) if tool.answers else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if folder:
        server.socket = _secure(folder).wrap_socket(server.socket, server_side=True)
    scheme, host = ("https", "localhost") if folder else ("http", "127.0.0.1")
    tool.address = f"{scheme}://{host}:{server.server_port}/services/T0/hidden"
    with at_work(server):
        yield tool


def _secure(folder: Path) -> ssl.SSLContext:
    authority = Authority()
    issued = authority.issue("localhost")
    (folder / "ca.pem").write_text(authority.pem)
    (folder / "server.pem").write_text(issued.chain + issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
