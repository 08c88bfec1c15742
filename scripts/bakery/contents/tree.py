"""The entries of a file system, and a copy of the files that say what is on a system."""

import errno
import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bakery.contents.unreadable import UnreadableError
from bakery.host.errors import BakeryError
from bakery.machine.disk_image import Partition
from bakery.machine.ext import ExtReader, Node
from bakery.machine.filesystem import FileSystem

# Folders without packages: a third of the files of a small system, and half of its bytes.
OMITTED = (
    *("/dev", "/proc", "/sys", "/run", "/boot"),
    *("/usr/lib/modules", "/lib/modules", "/usr/lib/firmware", "/lib/firmware", "/usr/lib/udev"),
    *("/usr/share/zoneinfo", "/usr/share/i18n", "/usr/share/locale", "/usr/share/man", "/usr/share/terminfo"),
    "/usr/share/perl",  # only Perl itself: packages of Debian are in /usr/share/perl5, CPAN's below /usr/local
    *("/var/lib/apt/lists", "/var/cache", "/var/log"),
)
OMITTED_BELOW = tuple(f"{folder}/" for folder in OMITTED)


@dataclass(frozen=True)
class Entry:
    """A file, folder, link or device.

    `path` is empty for the root, `content` the SHA-256 of a file, the target of a link, or the numbers of a device.
    """

    path: bytes
    node: Node
    content: bytes

    @property
    def is_private(self) -> bool:
        """Whether not everybody on the system may read it."""
        return not self.node.mode & stat.S_IROTH


def read_entries(raw: Path, partition: Partition) -> tuple[Entry, ...]:
    """All entries of an ext file system; UnreadableError if it is damaged. Each file is read once."""
    contents: dict[int, bytes] = {}  # by inode: a file may have several names

    def read(node: Node) -> bytes:
        if node.number not in contents:
            contents[node.number] = _read_content(reader, node)
        return contents[node.number]

    with _open_reader(raw, partition) as reader:
        return tuple(Entry(path, node, read(node)) for path, node in reader.walk())


def copy_root(root: FileSystem, tree: Path) -> tuple[Entry, ...]:
    """All entries of a system. Its folders, files and links are copied while they are read, except for OMITTED ones.

    `tree` is a new folder that only its owner can read. UnreadableError if the file system is damaged,
    or a path is too long below `tree`.
    """
    tree.mkdir(mode=0o700)
    with _open_reader(root.raw, root.partition) as reader:
        return tuple(_read_and_copy(reader, path, node, tree) for path, node in reader.walk())


def _read_and_copy(reader: ExtReader, path: bytes, node: Node, tree: Path) -> Entry:
    name = os.fsdecode(path)
    if not name or is_omitted(name):
        return Entry(path, node, _read_content(reader, node))
    try:
        return Entry(path, node, _copy_node(reader, node, tree / name.lstrip("/")))
    except FileExistsError as error:  # it could be a link that leads out of the copy
        raise BakeryError("the file system is damaged: a folder has a name twice") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise BakeryError("a path is too long to be copied", detail=name) from error


def is_omitted(path: str) -> bool:
    """Whether a path is in one of the OMITTED folders, or is one."""
    return f"{path}/".startswith(OMITTED_BELOW)


def _copy_node(reader: ExtReader, node: Node, target: Path) -> bytes:
    """Copy a folder, link or file, and return the content of its entry."""
    if stat.S_ISREG(node.mode):
        digest = hashlib.sha256()
        with target.open("xb") as file:
            for piece in reader.read(node):
                digest.update(piece)
                file.write(piece)
        if node.mode & stat.S_IXUSR:  # syft reads the versions of programs
            target.chmod(0o700)
        return digest.hexdigest().encode()
    content = _read_content(reader, node)
    if stat.S_ISDIR(node.mode):
        target.mkdir(mode=0o700)
    elif stat.S_ISLNK(node.mode):
        target.symlink_to(os.fsdecode(content))
    return content


@contextmanager
def _open_reader(raw: Path, partition: Partition) -> Iterator[ExtReader]:
    """Raise UnreadableError for what a damaged file system causes in the block."""
    try:
        with ExtReader(raw, partition) as reader:
            yield reader
    except struct.error as error:
        raise UnreadableError("the file system is damaged", detail=str(error)) from error
    except BakeryError as error:
        raise UnreadableError(error.message, hint=error.hint) from error


def _read_content(reader: ExtReader, node: Node) -> bytes:
    if stat.S_ISREG(node.mode):
        return reader.digest(node).encode()
    if stat.S_ISLNK(node.mode):
        return reader.target(node)
    if stat.S_ISCHR(node.mode) or stat.S_ISBLK(node.mode):
        return b"%d %d" % node.device
    return b""
