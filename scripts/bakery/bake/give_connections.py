"""Gives programs outside of a bake's network connections to its guest: `give_connections.py SOCKET PORT GUEST STATUS`.

keep_guest.sh starts it in the namespaces of the bake. PORT of loopback there is the guest's SSH, GUEST the process ID
of its QEMU. A connection stays in its network, whichever process has it, so a login needs neither a port nor root. The
program ends with the exit code STATUS after the guest, which it kills if it is stopped itself.
"""

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

# The line by which the bakery knows that logins work.
READY = "bakery: the guest waits for a login"
ADDRESS = "127.0.0.1"
CONNECT_SECONDS = 10.0  # QEMU accepts a connection at once


def serve_connections(path: str, port: int, guest: int) -> None:
    """Send each program that connects to the socket `path` a new connection to `port`, until a descriptor is readable.

    `guest` is that descriptor, which refers to a process. A program gets nothing if the port refuses.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print(READY, flush=True)  # noqa: T201 - the bakery reads it
        events = select.poll()
        events.register(server, select.POLLIN)
        events.register(guest, select.POLLIN)
        while guest not in (descriptor for descriptor, _ in events.poll()):
            program, _ = server.accept()
            with program, suppress(OSError), socket.create_connection((ADDRESS, port), CONNECT_SECONDS) as connection:
                connection.setblocking(True)
                socket.send_fds(program, [b"\0"], [connection.fileno()])


def main() -> int:
    path, port, process_id, status = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_early)
    guest = os.pidfd_open(int(process_id))
    try:
        serve_connections(path, int(port), guest)
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(guest, signal.SIGKILL)
    return int(status)


def _exit_early(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
