"""Gives ssh a connection to a guest from give_connections.py: `take_connection.py SOCKET`, with ProxyUseFdpass."""

import socket
import sys


def main() -> int:
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(sys.argv[1])
            _, connections, _, _ = socket.recv_fds(server, 1, 1)
        except OSError:
            connections = []
    if not connections:
        print("error: the guest takes no connection: it has ended, or it boots", file=sys.stderr)  # noqa: T201 - for ssh
        return 1
    with socket.socket(fileno=sys.stdout.fileno()) as ssh:
        socket.send_fds(ssh, [b"\0"], connections)
    return 0


if __name__ == "__main__":
    sys.exit(main())
