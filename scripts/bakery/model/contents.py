"""The contents of one version: its packages, kernels and boot files, as `contents.json`."""

from dataclasses import dataclass, field
from typing import Literal

from bakery.model.documents import Strict

ARCHIVES_REPORT = "archives.txt"  # in the folder of a part that Ansible changed: what apt said of its archives
ROOT_ARCHIVE = "root.tar.gz"  # in the folder of a build at a target, until its contents are read
SbomFormat = Literal["cyclonedx", "spdx"]
# The ends of file names: both standards ask for theirs.
SBOM_SUFFIXES: dict[SbomFormat, str] = {"cyclonedx": "cdx.json", "spdx": "spdx.json"}


@dataclass(frozen=True, order=True)
class Package(Strict):
    """An installed package of the operating system.

    `source` is the package that it was built from, `origin` its distributor: both as the package itself says, and
    `origin` empty where it says nothing, as Debian's do. `archive` is the first that had this version at the bake, as
    `URI SUITE/COMPONENT`; empty where none had it, or where none was asked.
    """

    name: str
    version: str
    architecture: str
    source: str
    origin: str
    archive: str = ""


@dataclass(frozen=True, order=True)
class ArchiveState(Strict):
    """A suite of a package archive as the bake saw it.

    `date` and `valid_until` are of its signed list, in ISO 8601; the second is empty for a list that does not expire.
    `sha256` is the digest of the list: of InRelease, or of Release where its signature is a file of its own. `uri` has
    no login.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    date: str
    valid_until: str
    sha256: str


@dataclass(frozen=True, order=True)
class BootFile(Strict):
    """A file of the EFI system partition; size in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, order=True)
class File(Strict):
    """A file of the system, or a symbolic link. Size in bytes, 0 for a link.

    `digest` is the SHA-256 of the bytes, or `-> ` and the target of a link; empty for a file that not everybody on the
    system may read. `package` brought the file; empty for none.
    """

    path: str
    size: int
    digest: str
    package: str = ""


@dataclass(frozen=True)
class FileList(Strict):
    """The files of one version, sorted by path, without folders that `contents/tree.py` leaves out.

    `entries` has the start of a digest for each entry of the disk that counts for its content digest.
    """

    files: tuple[File, ...]
    entries: dict[str, str] = field(default_factory=dict)
    schema: Literal["bakery/files/1"] = "bakery/files/1"


@dataclass(frozen=True)
class Contents(Strict):
    """The content of the disk file with `sha256`, or of the images of the build at a target with that identity.

    `size` is of the disk file in bytes, None if it never was here; `os` is the name that the system gives itself.
    `kernels` are the versions that have modules, `database` is the SHA-256 of the archive of the package database,
    `sboms` are those of the bills of materials, `files` is that of the compressed list of files; both are empty in
    documents that are older than these. `archives` are those that the bake asked for packages.

    `content_digest` is equal for disks with the same files: see docs/explanation/content-digest.md. It is empty for
    images of a build at a target, for disks with other file systems, and in older documents.
    """

    image: str
    arch: str
    version: str
    sha256: str
    size: int | None
    os: str
    packages: tuple[Package, ...]
    kernels: tuple[str, ...]
    boot: tuple[BootFile, ...]
    database: str
    sboms: dict[SbomFormat, str] = field(default_factory=dict)
    archives: tuple[ArchiveState, ...] = ()
    files: str = ""
    content_digest: str = ""
    schema: Literal["bakery/contents/1"] = "bakery/contents/1"
