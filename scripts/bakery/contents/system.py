"""The contents of an operating system at rest, written as documents beside the archive of its package database."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.contents import boot, debian, rpm
from bakery.contents.apt import Listing, list_at_rest, parse_listing
from bakery.contents.archive import pack_folder
from bakery.contents.digest import Content
from bakery.contents.file_list import list_files, pack_files
from bakery.contents.sbom import Document, bind_sboms, list_components
from bakery.contents.tree import Entry
from bakery.contents.unreadable import UnreadableError
from bakery.host import files
from bakery.machine.filesystem import FileSystem
from bakery.model import documents
from bakery.model.contents import SBOM_SUFFIXES, ArchiveState, BootFile, Contents, Package, SbomFormat
from bakery.model.documents import Part
from bakery.model.version import Versioned

DOCUMENT = "contents.json"
DATABASE = "packages.tar.gz"
FILE_LIST = "files.json.gz"
RELEASES = ("/usr/lib/os-release", "/etc/os-release")  # os-release(5): the second is often a link to the first


@dataclass(frozen=True)
class System:
    """A root file system, its entries and the folder that they were copied to by `copy_root`.

    Also the files that firmware boots it with, and the content of its disk.
    """

    root: FileSystem
    entries: tuple[Entry, ...]
    tree: Path
    boot: tuple[BootFile, ...]
    content: Content


@dataclass(frozen=True)
class SystemContents:
    """The contents of a system, before it is known which part they belong to; `sboms` are documents of syft.

    `database` and `files` are packed.
    """

    os: str
    packages: tuple[Package, ...]
    kernels: tuple[str, ...]
    boot: tuple[BootFile, ...]
    archives: tuple[ArchiveState, ...]
    database: bytes
    files: bytes
    sboms: Mapping[SbomFormat, Document]
    content_digest: str


def sbom_path(folder: Path, name: SbomFormat) -> Path:
    """The path of a bill of materials in the folder of its part."""
    return folder / f"sbom.{SBOM_SUFFIXES[name]}"


def read_system(system: System, of: Versioned, archives_report: Path, scratch: Path, syft: Path) -> SystemContents:
    """Read a system; `archives_report` is what apt said of its archives, if a bake has asked it.

    UnreadableError without `where` if it has no package database, or does not say which distribution it is.
    """
    root = system.root
    family = next((family for family in (debian, rpm) if any(map(root.find, family.STATUS))), None)
    if family is None:
        raise UnreadableError("the system has neither dpkg's nor rpm's database")
    # Without a distribution, syft gives a package neither a URL nor an architecture.
    if not any(map(root.find, RELEASES)):
        raise UnreadableError("the system has no os-release file, so its distribution is unknown")
    tree = scratch / "root"
    tree.mkdir()
    root.copy(family.DATABASE, tree)
    packages = tuple(sorted(family.read_packages(tree)))
    listing = _read_listing(archives_report, tree, packages)
    packages = tuple(replace(package, archive=listing.archive_of(package)) for package in packages)
    sboms = list_components(system.tree, of, packages, syft, scratch)
    file_list = list_files(system.entries, family.read_owners(system.tree))
    return SystemContents(
        os=_os_name(root),
        packages=packages,
        kernels=boot.list_kernels(root),
        boot=system.boot,
        archives=listing.archives,
        database=pack_folder(tree, family.OMITTED),
        files=pack_files(replace(file_list, entries=system.content.entries)),
        sboms=sboms,
        content_digest=system.content.digest,
    )


def write_contents(system_contents: SystemContents, part: Part, folder: Path, size: int | None = None) -> Contents:
    """Write the contents of a part, its package database, bills of materials and list of files into `folder`.

    `size` is that of its disk file, if that is here.
    """
    sboms = bind_sboms(system_contents.sboms, part)
    contents = Contents(
        image=part.image,
        arch=part.arch,
        version=part.version,
        sha256=part.identity,
        size=size,
        os=system_contents.os,
        packages=system_contents.packages,
        kernels=system_contents.kernels,
        boot=system_contents.boot,
        database=hashlib.sha256(system_contents.database).hexdigest(),
        sboms={name: hashlib.sha256(document).hexdigest() for name, document in sboms.items()},
        archives=system_contents.archives,
        files=hashlib.sha256(system_contents.files).hexdigest(),
        content_digest=system_contents.content_digest,
    )
    files.write_atomic(folder / DATABASE, system_contents.database)
    files.write_atomic(folder / FILE_LIST, system_contents.files)
    for name, document in sboms.items():
        files.write_atomic(sbom_path(folder, name), document)
    documents.save(contents, folder / DOCUMENT)
    return contents


def _read_listing(archives_report: Path, tree: Path, packages: Sequence[Package]) -> Listing:
    """The archives that the bake saw; those of the system's own package lists if no bake has sealed it."""
    return parse_listing(archives_report.read_text()) if archives_report.exists() else list_at_rest(tree, packages)


def _os_name(root: FileSystem) -> str:
    """PRETTY_NAME of the system; empty if it gives itself none."""
    lines = (line for path in RELEASES for line in root.read(path).splitlines())
    names = (line.partition("=")[2].strip("\"'") for line in lines if line.startswith("PRETTY_NAME="))
    return next(names, "")
