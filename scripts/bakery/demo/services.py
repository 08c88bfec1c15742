"""The stand-ins of the demo: programs on loopback that stay alive until `make demo-down`."""

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.machine import qemu

START_SECONDS = 60.0  # the AWS stand-in takes about 5 s on a cold disk, Vault 2 s
STOP_SECONDS = 60.0  # the AWS stand-in writes its state when it ends
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Service:
    """A running program and its port on 127.0.0.1."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def ensure(name: str, folder: Path, argv: Callable[[int], list[str | Path]], ready: Path | None = None) -> Service:
    """The service of this name, started if it does not run. `argv` gets the port to listen on.

    The service is up when it accepts connections and, if `ready` is set, has written that file.
    """
    if running := find_running(name, folder):
        return running
    before = last_start(name, folder)
    # The old port, if it is free, so that URLs of an earlier run keep working.
    port = before.port if before and _is_free(before.port) else qemu.free_port()
    log = folder / f"{name}.log"
    if ready:
        ready.unlink(missing_ok=True)
    child = process.spawn(argv(port), log=log, outlive=True)
    service = Service(child.pid, port)

    def is_up() -> bool | None:
        if child.poll() is not None:
            return False
        return True if _is_alive(service) and (ready is None or ready.exists()) else None

    if not wait_until(is_up, START_SECONDS, POLL_SECONDS):
        process.stop(child)
        raise BakeryError(f"{name} did not start", detail=log.read_text()[-2000:], log=log)
    files.write_atomic(folder / f"{name}.json", json.dumps(asdict(service)).encode())
    return service


def find_running(name: str, folder: Path) -> Service | None:
    """The service of this name; None if it does not run."""
    service = last_start(name, folder)
    return service if service and _is_alive(service) else None


def stop(name: str, folder: Path) -> bool:
    """Stop a service and wait until it has ended; False if it was not running. Its file keeps the port."""
    service = find_running(name, folder)
    if service is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(service.pid, signal.SIGTERM)
    if not wait_until(lambda: None if _is_alive(service) else True, STOP_SECONDS, POLL_SECONDS):
        raise BakeryError(f"{name} does not stop", hint=f"kill {service.pid}")
    return True


def last_start(name: str, folder: Path) -> Service | None:
    """The last start of a service; None if it was never started."""
    try:
        return Service(**json.loads((folder / f"{name}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _is_alive(service: Service) -> bool:
    """Whether the process lives and its port accepts connections; either alone may belong to another program."""
    try:
        os.kill(service.pid, 0)
        socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
