"""What the tests with real tools share."""

from pathlib import Path

import pytest

from bakery.host.events import silent
from bakery.layers.base import BaseDisk, prepare
from bakery.model.bases import Debootstrap, QemuBase


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of pyproject.toml."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def base_disk(project_root: Path) -> BaseDisk:
    """A real Debian 12 base, made once for its recipe and kept between runs."""
    base = QemuBase(debootstrap=Debootstrap(suite="bookworm"))
    cache = project_root / ".bakery" / "test-cache"
    return prepare(base, cache, project_root / "packer" / "base" / "debian", silent)
