"""Stand-ins that stay alive, played by a server of a few lines."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakery.demo import services
from bakery.demo.services import Service
from bakery.host.errors import BakeryError

SERVER = """
import pathlib, socket, sys
if pathlib.Path(sys.argv[-1]).exists():
    sys.exit("the file of an earlier run is still there")
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
if len(sys.argv) > 2:
    pathlib.Path(sys.argv[2]).write_text("here I am")
while True:
    server.accept()[0].close()
"""


@dataclass
class Servers:
    """Starts `server` in a folder; `ports` are those that it was told to listen on."""

    folder: Path
    ports: list[int] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)

    def ensure(self, code: str = SERVER, ready: Path | None = None) -> Service:
        found = services.ensure("server", self.folder, self.argv(code, ready), ready)
        self.pids.add(found.pid)
        return found

    def stop(self) -> bool:
        """Stop it, and take leave of the process: in real life its parent ended long ago."""
        stopped = services.stop("server", self.folder)
        for pid in self.pids if stopped else ():
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        return stopped

    def argv(self, code: str, ready: Path | None) -> Callable[[int], list[str | Path]]:
        def with_port(port: int) -> list[str | Path]:
            self.ports.append(port)
            return [sys.executable, "-S", "-c", code, str(port), *([ready] if ready else [])]

        return with_port


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    found = Servers(tmp_path / "stand-ins")
    yield found
    for pid in found.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def takes_connections(service: Service) -> bool:
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_is_up_when_it_is_returned(servers: Servers) -> None:
    service = servers.ensure()
    assert takes_connections(service)
    assert service.url == f"http://127.0.0.1:{service.port}"
    assert services.last_start("server", servers.folder) == service
    assert (servers.folder / "server.log").read_text() == "listening\n"


def test_is_used_again(servers: Servers) -> None:
    assert servers.ensure() == servers.ensure()
    assert len(servers.ports) == 1


def test_is_gone_after_a_stop(servers: Servers) -> None:
    service = servers.ensure()
    assert servers.stop()
    assert not takes_connections(service)
    assert not servers.stop()


def test_that_never_ran_cannot_be_stopped(servers: Servers) -> None:
    assert not servers.stop()


def test_comes_back_on_its_port(servers: Servers) -> None:
    """URLs that Terraform wrote down go on working."""
    before = servers.ensure()
    servers.stop()
    after = servers.ensure()
    assert after.port == before.port
    assert after.pid != before.pid
    assert takes_connections(after)


def test_leaves_a_port_that_somebody_else_took(servers: Servers) -> None:
    before = servers.ensure()
    servers.stop()
    with socket.create_server(("127.0.0.1", before.port)):
        after = servers.ensure()
    assert after.port != before.port


def test_a_process_that_took_its_number_is_not_it(servers: Servers) -> None:
    """Numbers of processes come round again: this one is ours, and listens to nothing."""
    servers.folder.mkdir()
    (servers.folder / "server.json").write_text(json.dumps({"pid": os.getpid(), "port": 1}))
    assert not servers.stop()
    assert servers.ensure().pid != os.getpid()


def test_waits_for_its_file(servers: Servers) -> None:
    ready = servers.folder / "login.json"
    servers.folder.mkdir()
    ready.write_text("of an earlier run")
    servers.ensure(ready=ready)
    assert ready.read_text() == "here I am"


def test_that_ends_at_once_says_why(servers: Servers) -> None:
    with pytest.raises(BakeryError, match="server did not start") as caught:
        servers.ensure("raise SystemExit('no license')")
    assert "no license" in caught.value.detail
    assert caught.value.log == servers.folder / "server.log"
    assert services.last_start("server", servers.folder) is None


def test_that_never_listens_is_given_up(servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(services, "START_SECONDS", 0.05)
    with pytest.raises(BakeryError, match="server did not start"):
        servers.ensure("import time; time.sleep(60)")


@pytest.mark.parametrize("text", ["{", "[]", '{"pid": 1}', '{"pid": 1, "port": 2, "host": "h"}'])
def test_a_damaged_note_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert services.last_start("server", tmp_path) is None
