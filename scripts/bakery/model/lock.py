"""The lock of an image: the package versions and dated archives of its bakes, in a file beside the definition."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bakery.host import yamlfile
from bakery.host.errors import NotFoundError, UsageError
from bakery.model import documents
from bakery.model.contents import Contents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Strict

SUFFIX = ".lock.json"
# apt_preferences(5): above 1000, even a lower version than the installed one is taken.
PREFERENCE = "Package: {name}\nPin: version {version}\nPin-Priority: 1001\n"


@dataclass(frozen=True)
class Lock(Strict):
    """Addresses of package archives with the dated ones that a bake uses, and packages with their versions.

    Addresses have no login and no slash at their end. Packages are named as apt names them: with an architecture if
    that is not the system's own.
    """

    archives: dict[str, str]
    packages: dict[str, str]
    schema: Literal["bakery/lock/1"] = "bakery/lock/1"

    @property
    def dated(self) -> dict[str, str]:
        """The archives that have a dated one."""
        return {address: dated for address, dated in self.archives.items() if address != dated}

    @property
    def preferences(self) -> str:
        """Preferences of apt that hold each package at its version."""
        return "\n".join(PREFERENCE.format(name=name, version=one) for name, one in sorted(self.packages.items()))


def lock_path(source: Path) -> Path:
    """The lock of an image whose definition is the file `source`."""
    return source.with_suffix(SUFFIX)


def load_lock(definition: ImageDefinition, source: Path) -> Lock | None:
    """The lock of an image; None if it has none by its definition, UsageError if it must have one and has not."""
    if not definition.has_lock:
        return None
    path, repair = lock_path(source), f"run 'bakery update {definition.name}'"
    try:
        return documents.load(Lock, path, f"remove it and {repair}")
    except NotFoundError as error:
        message = f"{definition.name} has no lock, but package_versions is {definition.package_versions}"
        raise UsageError(message, where=yamlfile.where(source, ("package_versions",)), hint=repair) from error


def list_versions(contents: Contents) -> Mapping[str, str]:
    """The versions of the packages on a Debian or Ubuntu disk, by the names that apt gives them."""
    native = next((package.architecture for package in contents.packages if package.name == "dpkg"), "")
    return {
        package.name if package.architecture in (native, "all") else f"{package.name}:{package.architecture}": (
            package.version
        )
        for package in contents.packages
    }
