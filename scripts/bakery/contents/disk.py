"""The contents of a baked disk, which no machine runs on."""

from pathlib import Path

from bakery.contents import boot
from bakery.contents.digest import read_content
from bakery.contents.system import System, SystemContents, read_system, write_contents
from bakery.contents.tree import copy_root
from bakery.contents.unreadable import UnreadableError
from bakery.host import files
from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem
from bakery.machine.root import NoRootError, open_root
from bakery.model.contents import ARCHIVES_REPORT, Contents
from bakery.model.documents import Artifact
from bakery.model.version import Versioned


def read_disk(artifact: Artifact, disk: Path, syft: Path) -> Contents:
    """Read the contents of a disk; write them, the package database and syft's documents beside it."""
    # Once as a raw disk, once as files.
    files.require_space(disk.parent, 2 * disk.stat().st_size, "reading the disk")
    with disk_image.as_raw(disk) as raw:
        try:
            system_contents = read_raw(raw, artifact, disk.with_name(ARCHIVES_REPORT), syft)
        except UnreadableError as error:
            raise UnreadableError(error.message, where=str(disk), detail=error.detail, hint=error.hint) from error
    return write_disk_contents(system_contents, artifact, disk)


def read_raw(raw: Path, of: Versioned, archives_report: Path, syft: Path) -> SystemContents:
    """The contents of a raw disk, which is only read.

    `archives_report` is what apt said of its archives, if a bake asked it. UnreadableError if nobody can say what is on
    the disk.
    """
    with files.scratch(raw.parent, "contents") as scratch:
        root = _open_root(raw)
        tree = scratch / "system"
        entries, folders = copy_root(root, tree), boot.copy_partitions(raw, scratch)
        content = read_content(raw, root, entries, folders)
        system = System(root, entries, tree, boot.list_boot_files(raw, folders), content)
        return read_system(system, of, archives_report, scratch, syft)


def write_disk_contents(system_contents: SystemContents, artifact: Artifact, disk: Path) -> Contents:
    """Write the contents of a disk beside it."""
    return write_contents(system_contents, artifact, disk.parent, disk.stat().st_size)


def _open_root(raw: Path) -> FileSystem:
    try:
        return open_root(raw)
    except NoRootError as error:
        raise UnreadableError(error.message, detail=error.detail, hint=error.hint) from error
