"""A proxy that leads to the stand-in what would go to Azure, for programs that cannot be told another address."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from doubles.serving import at_work

# Where Azure's login, Graph and resource manager are; the stand-in's certificate has these names.
HOSTS = ("login.microsoftonline.com", "graph.microsoft.com", "management.azure.com")


class _Tunnel(socketserver.StreamRequestHandler):
    server: "_Proxy"

    def handle(self) -> None:
        """CONNECT to one of the hosts; what is said inside of it is for the stand-in alone."""
        method, target, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        if method != "CONNECT" or target not in [f"{host}:443" for host in HOSTS]:
            self.server.refused.append(target)
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self.server.port)) as stand_in:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(stand_in, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, stand_in)
            back.join()


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.port = port
        self.refused: list[str] = []


@contextmanager
def proxy(port: int) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what was refused so far, while the stand-in is at `port`."""
    with at_work(_Proxy(port)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.refused


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until one of the two ends it."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
