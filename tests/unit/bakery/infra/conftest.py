"""Terraform and cdktf as scripts that write down how they were called, and answer what a test wants."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.infra import mirror
from bakery.model.project import Project
from unit.bakery.infra.fakes import Fake, install


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Terraform's configuration is looked for: not in the home of the one who runs the tests."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in (mirror.VARIABLE, mirror.CONFIG_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def make_mirror() -> Callable[..., Path]:
    """Make a folder a mirror that has our provider for this machine."""

    def make(folder: Path, packed: bool = False, version: str = mirror.AWS_VERSION) -> Path:
        provider = folder / "registry.terraform.io" / "hashicorp" / "aws"
        if packed:
            provider.mkdir(parents=True)
            (provider / f"terraform-provider-aws_{version}_{mirror.terraform_platform()}.zip").touch()
        else:
            (provider / version / mirror.terraform_platform()).mkdir(parents=True)
        return folder

    return make


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    project = Project(root, root / "packer" / "images", root / ".bakery")
    (root / ".bakery" / "tools" / "bin").mkdir(parents=True)
    return project


@pytest.fixture
def fake(project: Project) -> Callable[[str], Fake]:
    """Install a fake of a program into the project's tools."""

    return lambda name: install(project, name)
