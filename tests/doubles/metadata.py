"""An instance's metadata service (IMDSv2) on loopback, for programs that run on instances.

As the EC2 user guide has it ("Use IMDS"): nothing is told without a token, and a PUT with a lifetime gets one.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from doubles.serving import at_work

TOKEN = "a-session-token-of-the-metadata-service"
ROLE = "machine"
CREDENTIALS = {
    "Code": "Success",
    "AccessKeyId": "ASIAEXAMPLE",
    "SecretAccessKey": "secret-of-the-role",
    "Token": "token-of-the-role",
    "Expiration": "2100-01-01T00:00:00Z",
}


@dataclass
class Metadata:
    """`roleless` answers about the role say that there is none yet, as on an instance that has just begun."""

    region: str
    url: str = ""
    roleless: int = 0
    credentials: Mapping[str, str] = field(default_factory=lambda: CREDENTIALS)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> str | None:
        known = {
            "placement/region": self.region,
            "services/domain": "amazonaws.com",
            "iam/security-credentials/": ROLE,
            f"iam/security-credentials/{ROLE}": json.dumps(self.credentials),
        }
        if path.startswith("iam/") and self.roleless:
            self.roleless -= 1
            return None
        return known.get(path)


@contextmanager
def serving(region: str) -> Iterator[Metadata]:
    """A metadata service on a free port."""
    metadata = Metadata(region)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            lifetime = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            good = self.path == "/latest/api/token" and lifetime.isdigit() and 1 <= int(lifetime) <= 21600
            self._say(200 if good else 400, TOKEN if good else "", lifetime)

        def do_GET(self) -> None:
            path = self.path.removeprefix("/latest/meta-data/")
            metadata.asked.append(path)
            if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
                return self._say(401, "")
            found = metadata.answer(path)
            return self._say(404 if found is None else 200, found or "")

        def _say(self, status: int, text: str, lifetime: str = "") -> None:
            self.send_response(status)
            if lifetime:
                self.send_header("X-aws-ec2-metadata-token-ttl-seconds", lifetime)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        metadata.url = f"http://127.0.0.1:{server.server_port}"
        yield metadata
