"""What the tests with real tools share."""

import os
from pathlib import Path

import pytest

from bakery.host.events import silent
from bakery.infra import mirror
from bakery.layers.base import BaseDisk, prepare
from bakery.model.bases import Debootstrap, QemuBase

# Where a machine that cannot reach Terraform's registry has providers for the tests and, by the Makefile, for the demo.
# Only these two look there: the bakery itself searches nowhere.
PROVIDERS = Path("/opt/tf-plugins")


def pytest_configure() -> None:
    """Name the mirror for the tests, unless their caller did."""
    if PROVIDERS.is_dir():
        os.environ.setdefault(mirror.VARIABLE, str(PROVIDERS))


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
