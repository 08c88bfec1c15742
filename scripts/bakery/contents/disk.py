"""The contents of a baked disk, which no machine runs on, and the archive of its package database."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bakery.contents import boot, debian, rpm
from bakery.contents.apt import Listing, list_at_rest, parse_listing
from bakery.contents.archive import pack_folder
from bakery.contents.sbom import write_sboms
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.process import ProcessError
from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem
from bakery.machine.root import NoRootError, open_root
from bakery.model import documents
from bakery.model.contents import ARCHIVES_REPORT, SBOM_SUFFIXES, Contents, Package, SbomFormat
from bakery.model.documents import Artifact

DOCUMENT = "contents.json"
DATABASE = "packages.tar.gz"
RELEASES = ("/usr/lib/os-release", "/etc/os-release")  # os-release(5): the second is often a link to the first


class UnreadableError(BakeryError):
    """The disk has no file system or no package database that can be read here."""


def sbom_path(disk: Path, name: SbomFormat) -> Path:
    """The path of a bill of materials beside its disk."""
    return disk.with_name(f"sbom.{SBOM_SUFFIXES[name]}")


def read_disk(artifact: Artifact, disk: Path, syft: Path) -> Contents:
    """Read the contents of a disk; write them, the package database and syft's documents beside it."""
    # Once as a raw disk, once as files.
    files.require_space(disk.parent, 2 * disk.stat().st_size, "reading the disk")
    with disk_image.as_raw(disk) as raw, files.scratch(disk.parent, "contents") as scratch:
        try:
            root = open_root(raw)
        except NoRootError as error:
            raise UnreadableError(error.message, where=str(disk), detail=error.detail, hint=error.hint) from error
        except ProcessError as error:
            raise UnreadableError("the disk has no readable partition table", where=str(disk)) from error
        family = next((family for family in (debian, rpm) if any(map(root.find, family.STATUS))), None)
        if family is None:
            raise UnreadableError("the disk has neither dpkg's nor rpm's database", where=str(disk))
        # syft gives a package of no distribution neither an address nor an architecture.
        if not any(map(root.find, RELEASES)):
            raise UnreadableError(
                "the system has no os-release file, so its packages are of no distribution", where=str(disk)
            )
        tree = scratch / "root"
        tree.mkdir()
        root.copy(family.DATABASE, tree)
        packages = tuple(sorted(family.read_packages(tree)))
        database = pack_folder(tree, family.OMITTED)
        listing = _read_listing(disk, tree, packages)
        packages = tuple(replace(package, archive=listing.archive_of(package)) for package in packages)
        sboms = write_sboms(root, artifact, packages, syft, scratch)
        contents = Contents(
            image=artifact.image,
            arch=artifact.arch,
            version=artifact.version,
            sha256=artifact.disk.sha256,
            size=disk.stat().st_size,
            os=_os_name(root),
            packages=packages,
            kernels=boot.list_kernels(root),
            boot=boot.read_files(raw, scratch),
            database=hashlib.sha256(database).hexdigest(),
            sboms={name: hashlib.sha256(document).hexdigest() for name, document in sboms.items()},
            archives=listing.archives,
        )
    files.write_atomic(disk.with_name(DATABASE), database)
    for name, document in sboms.items():
        files.write_atomic(sbom_path(disk, name), document)
    documents.save(contents, disk.with_name(DOCUMENT))
    return contents


def _read_listing(disk: Path, tree: Path, packages: Sequence[Package]) -> Listing:
    """The archives that the bake saw; those of the disk's own package lists if no bake has sealed it."""
    report = disk.with_name(ARCHIVES_REPORT)
    return parse_listing(report.read_text()) if report.exists() else list_at_rest(tree, packages)


def _os_name(root: FileSystem) -> str:
    """PRETTY_NAME of the system; empty if it gives itself none."""
    lines = (line for path in RELEASES for line in root.read(path).splitlines())
    names = (line.partition("=")[2].strip("\"'") for line in lines if line.startswith("PRETTY_NAME="))
    return next(names, "")
