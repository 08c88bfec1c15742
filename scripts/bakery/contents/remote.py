"""The contents of an image that Packer built at a target, from the archive that its machine packed before the seal."""

from pathlib import Path

from bakery.contents import boot
from bakery.contents.digest import Content
from bakery.contents.system import System, read_system, write_contents
from bakery.contents.tree import copy_root
from bakery.contents.unreadable import UnreadableError
from bakery.host import files
from bakery.machine.root import unpack_root
from bakery.model.contents import ARCHIVES_REPORT, Contents
from bakery.model.documents import RemoteBuild


def read_archive(build: RemoteBuild, archive: Path, syft: Path) -> Contents:
    """Read the contents of a build from its machine's files; write them beside build.json."""
    if not archive.exists():
        raise UnreadableError("the machine packed no files", where=str(archive))
    with files.scratch(archive.parent, "contents") as scratch:
        root = unpack_root(archive, scratch)
        try:
            tree = scratch / "system"
            entries = copy_root(root, tree)
            system = System(root, entries, tree, boot.read_folder(root, scratch), Content())
            system_contents = read_system(system, build, archive.with_name(ARCHIVES_REPORT), scratch, syft)
            return write_contents(system_contents, build, archive.parent)
        except UnreadableError as error:
            raise UnreadableError(error.message, where=str(archive), hint=error.hint) from error
