"""A project whose line runs in this process within milliseconds."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.cli import line, toolbox
from bakery.project import Project
from bakery.vault import Vault
from unit.bakery.cli.workshop import FILES, Workshop


@pytest.fixture
def bakery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Workshop]:
    """An image `web` built on an image `base`, both for the local target; no program is on PATH."""
    root = tmp_path / "project"
    workshop = Workshop(Project(root, Path("packer/images"), root / ".bakery"), capsys, monkeypatch)
    for path, text in FILES.items():
        workshop.write(path, text)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(toolbox, "machine", lambda: {"type": "q35"})
    monkeypatch.setattr(toolbox, "toolchain", lambda *_: None)
    monkeypatch.setattr(line, "bake", workshop.bake)
    monkeypatch.setattr(line, "verify", workshop.verify)
    monkeypatch.setattr(line, "prepare", workshop.prepare)
    monkeypatch.setattr(line, "publish", workshop.publishing(line.publish))
    monkeypatch.setattr(line, "read_secrets", lambda *_: {"NGINX_PASSWORD": "hidden"})
    monkeypatch.setattr(Vault, "login", workshop.vault)
    before = signal.getsignal(signal.SIGTERM)
    yield workshop
    signal.signal(signal.SIGTERM, before)  # main() takes it
