"""QEMU's monitor: commands in JSON over a socket, one after the other (QEMU Machine Protocol)."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bakery.host.errors import BakeryError

ANSWER_SECONDS = 60.0  # QEMU answers within milliseconds unless the machine is busy


class Monitor:
    """An open monitor. Each command has one answer; events come in between."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rw", encoding="utf-8")

    def run(self, command: str, **arguments: Any) -> Any:
        """The value that QEMU returns for a command; BakeryError if it refuses it or ended."""
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        for line in self._stream:
            answer = json.loads(line)
            if "error" in answer:
                raise BakeryError(f"QEMU refuses the command {command}: {answer['error'].get('desc', '')}")
            if "return" in answer:
                return answer["return"]
        raise BakeryError(f"QEMU ended at the command {command}")


@contextmanager
def open_monitor(path: Path) -> Iterator[Monitor]:
    """Connect to the monitor behind a socket; BakeryError if QEMU does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
            monitor = Monitor(connection)
            monitor.run("qmp_capabilities")
            yield monitor
    except OSError as error:
        raise BakeryError(f"QEMU's monitor does not answer: {error}") from error
