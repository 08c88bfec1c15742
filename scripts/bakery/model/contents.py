"""The contents of one version: its packages, kernels and boot files, as `contents.json`."""

from dataclasses import dataclass, field
from typing import Literal

from bakery.model.documents import Strict

SbomFormat = Literal["cyclonedx", "spdx"]
# The ends of file names: both standards ask for theirs.
SBOM_SUFFIXES: dict[SbomFormat, str] = {"cyclonedx": "cdx.json", "spdx": "spdx.json"}


@dataclass(frozen=True, order=True)
class Package(Strict):
    """An installed package of the operating system.

    `source` is the package that it was built from, `origin` its distributor: both as the package itself says, and
    `origin` empty where it says nothing, as Debian's do.
    """

    name: str
    version: str
    architecture: str
    source: str
    origin: str


@dataclass(frozen=True, order=True)
class BootFile(Strict):
    """A file of the EFI system partition; size in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Contents(Strict):
    """The content of the disk file with `sha256`, and of no other.

    `size` is of that file in bytes, `os` the name that the system gives itself. `kernels` are the versions that have
    modules, `database` is the SHA-256 of the archive of the package database, `sboms` are those of the bills of
    materials; empty in documents that are older than these.
    """

    image: str
    arch: str
    version: str
    sha256: str
    size: int
    os: str
    packages: tuple[Package, ...]
    kernels: tuple[str, ...]
    boot: tuple[BootFile, ...]
    database: str
    sboms: dict[SbomFormat, str] = field(default_factory=dict)
    schema: Literal["bakery/contents/1"] = "bakery/contents/1"
