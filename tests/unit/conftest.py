"""No unit test leaves this machine, depends on its free space or sees the configuration of the user who runs it."""

import gc
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from doubles.aws.client import StandIn, running

# The same examples on every machine, however slow it is.
settings.register_profile("bakery", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("bakery")

# Tools read these without being asked; PATH, TMPDIR and the like stay.
THEIRS = (
    *("AWS_", "AZURE_", "VAULT_", "TF_", "PKR_", "PACKER_", "ANSIBLE_", "BAKERY_"),
    *("CI", "GITLAB_", "CDKTF_", "GIT_", "XDG_"),
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end; walking it again and again takes a tenth of the suite."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)  # tests make few cycles


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty home, and nothing in the environment that points at an account."""
    for name in os.environ:
        if name.startswith(THEIRS) or name.lower() in PROXIES:
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True, scope="session")
def large_disk() -> Iterator[None]:
    """A terabyte of free space, whatever this machine has left: stand-ins take some bytes, and no test a gigabyte."""
    free = 1 << 40
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(2 * free, free, free))
        yield


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Fail a test that looks up or connects to anything but this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex))
        look_up = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            _require_loopback(host)
            return look_up(host, *args, **options)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX:
            _require_loopback(address[0])
        return connect(self, address)

    return guarded


def _require_loopback(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        inside = ipaddress.ip_address(name).is_loopback
    except ValueError:
        inside = False
    if not inside:
        pytest.fail(f"a unit test wants to reach {name}")


@pytest.fixture(scope="session")
def aws_server() -> Iterator[StandIn]:
    """The AWS stand-in, which takes a second to start. Whoever uses it empties it first."""
    with running() as double:
        yield double


@pytest.fixture
def project_root() -> Path:
    """The folder of pyproject.toml."""
    return Path(__file__).parents[2]
