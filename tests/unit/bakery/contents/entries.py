"""Entries of a file system that is on no disk."""

import hashlib
import stat
from pathlib import Path

from bakery.contents.tree import Entry
from bakery.machine.ext import Attribute, Node


def entry(
    path: str,
    content: bytes = b"",
    mode: int = stat.S_IFREG | 0o644,
    owner: tuple[int, int] = (0, 0),
    flags: int = 0,
    attributes: tuple[Attribute, ...] = (),
    number: int = 0,
) -> Entry:
    """An entry; without a number, its inode is its own."""
    number = number or int(hashlib.sha256(path.encode()).hexdigest()[:8], 16)
    node = Node(number, mode, *owner, flags, len(content), 1, b"", attributes)
    return Entry(path.encode(), node, hashlib.sha256(content).hexdigest().encode() if stat.S_ISREG(mode) else content)


def link(path: str, target: str) -> Entry:
    return entry(path, target.encode(), stat.S_IFLNK | 0o777)


def entries_of(tree: Path) -> list[Entry]:
    """The files and links below a folder."""
    return [
        link(f"/{path.relative_to(tree)}", str(path.readlink()))
        if path.is_symlink()
        else entry(f"/{path.relative_to(tree)}", path.read_bytes(), path.stat().st_mode)
        for path in tree.rglob("*")
        if path.is_symlink() or path.is_file()
    ]
