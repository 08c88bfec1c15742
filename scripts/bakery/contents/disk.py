"""The contents of a baked disk, which no machine runs on."""

from pathlib import Path

from bakery.contents import boot
from bakery.contents.digest import read_content
from bakery.contents.system import System, read_system
from bakery.contents.tree import read_entries
from bakery.contents.unreadable import UnreadableError
from bakery.host import files
from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem
from bakery.machine.root import NoRootError, open_root
from bakery.model.contents import Contents
from bakery.model.documents import Artifact


def read_disk(artifact: Artifact, disk: Path, syft: Path) -> Contents:
    """Read the contents of a disk; write them, the package database and syft's documents beside it."""
    # Once as a raw disk, once as files.
    files.require_space(disk.parent, 2 * disk.stat().st_size, "reading the disk")
    with disk_image.as_raw(disk) as raw, files.scratch(disk.parent, "contents") as scratch:
        try:
            root = _open_root(raw)
            entries, folders = read_entries(root.raw, root.partition), boot.copy_partitions(raw, scratch)
            content = read_content(raw, root, entries, folders)
            system = System(root, entries, boot.list_boot_files(raw, folders), content, disk.stat().st_size)
            return read_system(system, artifact, disk.parent, scratch, syft)
        except UnreadableError as error:
            raise UnreadableError(error.message, where=str(disk), detail=error.detail, hint=error.hint) from error


def _open_root(raw: Path) -> FileSystem:
    try:
        return open_root(raw)
    except NoRootError as error:
        raise UnreadableError(error.message, detail=error.detail, hint=error.hint) from error
