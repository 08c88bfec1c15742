"""The program that takes over a certificate: real certificates, with a pretended program that fetches them."""

import json
import ssl
import stat
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from doubles.certificates import Authority, Issued
from doubles.programs import Programs
from unit.ansible.node_programs import load

NAME = "vault.example.internal"
PARAMETERS = {"chain.pem": "/tls/chain", "key.pem": "/tls/key", "authority.pem": "/tls/authority"}


class FakeNode:
    """A node, and the parameters it may read."""

    def __init__(self, folder: Path, program: ModuleType, programs: Programs) -> None:
        self.tls = folder / "tls"
        self.authority = Authority()
        self._store = folder / "store"
        self._program = program
        self.programs = programs

    def certify(self, issued: Issued, authority: Authority | None = None) -> None:
        (self._store / "tls").mkdir(parents=True, exist_ok=True)
        values = {"chain": issued.chain, "key": issued.key, "authority": (authority or self.authority).pem}
        for name, value in values.items():
            (self._store / "tls" / name).write_text(value)

    def run(self) -> int:
        code: int = self._program.run("certificate", self._program.main)
        return code

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.tls.iterdir()}

    def reloads(self) -> int:
        return self.programs.calls("systemctl").count("--no-block reload vault.service")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    program = load("tls", monkeypatch)
    programs = Programs(tmp_path / "bin", monkeypatch)
    fetch = (
        f'cat "{tmp_path}/store$1" || {{ echo "bakery-fetch-parameter: cannot fetch $1: AccessDenied" >&2; exit 1; }}'
    )
    programs.shell("bakery-fetch-parameter", fetch)
    programs.shell("systemctl")
    told = {"region": "eu-central-1", "server_name": NAME, "tls": PARAMETERS, "snapshots": {}, "metrics": {}}
    (tmp_path / "settings.json").write_text(json.dumps(told))
    monkeypatch.setattr("node.SETTINGS", tmp_path / "settings.json")
    monkeypatch.setattr(program, "TLS", tmp_path / "tls")
    monkeypatch.setattr(program.shutil, "chown", lambda path, user, group: None)  # there is no user `vault` here
    return FakeNode(tmp_path, program, programs)


def test_the_three_files_come(world: FakeNode) -> None:
    issued = world.authority.issue(NAME)
    world.certify(issued)
    assert world.run() == 0
    assert world.files() == {"chain.pem": issued.chain, "key.pem": issued.key, "authority.pem": world.authority.pem}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in world.tls.iterdir()}
    assert modes == {"chain.pem": 0o644, "key.pem": 0o640, "authority.pem": 0o644}


def test_a_server_that_runs_reads_them_again(world: FakeNode) -> None:
    world.certify(world.authority.issue(NAME))
    world.run()
    assert world.reloads() == 1
    assert world.run() == 0
    assert world.reloads() == 1, "nothing changed"
    issued = world.authority.issue(NAME)
    world.certify(issued)
    assert world.run() == 0
    assert (world.reloads(), world.files()["chain.pem"]) == (2, issued.chain)


def test_a_server_that_does_not_run_is_left_alone(world: FakeNode) -> None:
    world.programs.shell("systemctl", "exit 3")
    world.certify(world.authority.issue(NAME))
    assert world.run() == 0
    assert world.reloads() == 0


def test_a_certificate_needs_no_more_than_vaults_clients_ask_for(
    world: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 refuses the double's certificates by default: they name no key of their authority."""
    lenient = ssl.create_default_context

    def create_strict(**options: Any) -> ssl.SSLContext:
        context = lenient(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create_strict)
    world.certify(world.authority.issue(NAME))
    assert world.run() == 0


def half(world: FakeNode) -> None:
    """Somebody changed one parameter, and is about to change the other."""
    world.certify(Issued(world.authority.issue(NAME).chain, world.authority.issue(NAME).key, 0))


def strange(world: FakeNode) -> None:
    world.certify(Authority().issue(NAME))


def other(world: FakeNode) -> None:
    world.certify(world.authority.issue("other.example.internal"))


def old(world: FakeNode) -> None:
    world.certify(world.authority.issue(NAME, timedelta(hours=-1)))


def empty(world: FakeNode) -> None:
    world.certify(Issued("", "", 0))


@pytest.mark.parametrize("change", [half, strange, other, old, empty], ids=lambda change: change.__name__)
def test_what_clients_would_refuse_is_not_taken_over(
    world: FakeNode, capsys: pytest.CaptureFixture[str], change: "object"
) -> None:
    world.certify(world.authority.issue(NAME))
    world.run()
    before = world.files()
    change(world)  # type: ignore[operator]
    assert world.run() == 1
    assert f"vault-node: certificate: the certificate for {NAME} is not taken: " in capsys.readouterr().err
    assert (world.files(), world.reloads()) == (before, 1)


def test_a_handshake_that_does_not_end_is_no_proof(world: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tls.STEPS", 1)
    world.certify(world.authority.issue(NAME))
    assert world.run() == 1
    assert world.files() == {}


def test_what_cannot_be_fetched_changes_nothing(world: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    world.certify(world.authority.issue(NAME))
    world.run()
    before = world.files()
    (world.tls.parent / "store/tls/key").unlink()
    assert world.run() == 1
    assert "cannot fetch /tls/key: AccessDenied" in capsys.readouterr().err
    assert world.files() == before
