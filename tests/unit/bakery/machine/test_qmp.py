"""QEMU's monitor, of which a thread takes the place."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.host.errors import BakeryError
from bakery.machine.qmp import open_monitor

GREETING = {"QMP": {"capabilities": "oob"}}
EVENT = {"event": "STOP"}


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("m") / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield path


def serve(server: socket.socket) -> None:
    connection, _ = server.accept()
    stream = connection.makefile("rw")
    say(stream, GREETING)
    for line in stream:
        command = json.loads(line)
        if command["execute"] == "quit":
            break
        say(stream, EVENT)
        say(stream, {"error": {"desc": "no such file"}} if command["execute"] == "migrate" else {"return": command})
    connection.shutdown(socket.SHUT_RDWR)


def say(stream: Any, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def test_a_command_has_the_answer_behind_all_events(path: Path) -> None:
    with open_monitor(path) as monitor:
        answer = monitor.run("migrate-set-parameters", **{"max-bandwidth": 1})
    assert answer == {"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1}}


def test_a_refused_command_says_why(path: Path) -> None:
    with open_monitor(path) as monitor, pytest.raises(BakeryError, match="refuses the command migrate: no such file"):
        monitor.run("migrate", uri="exec:true")


def test_a_monitor_that_goes_away(path: Path) -> None:
    with open_monitor(path) as monitor, pytest.raises(BakeryError, match="QEMU ended at the command quit"):
        monitor.run("quit")


def test_no_monitor(tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match="does not answer"), open_monitor(tmp_path / "none"):
        pytest.fail("nobody listens")
