"""Debian bases, made once for their recipe and kept between runs."""

from pathlib import Path

from bakery.host.events import silent
from bakery.layers.base import prepare
from bakery.machine.disk_image import BaseDisk
from bakery.model.bases import Debootstrap, QemuBase

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "packer" / "base" / "debian"
CACHE = ROOT / ".bakery" / "test-cache"
SUITES = {"debian-12": "bookworm", "debian-13": "trixie"}


def prepare_base(system: str, recipe: Path = RECIPE) -> BaseDisk:
    """The base of a release, which `system` names as a definition does."""
    return prepare(QemuBase(debootstrap=Debootstrap(suite=SUITES[system])), CACHE, recipe, silent)
