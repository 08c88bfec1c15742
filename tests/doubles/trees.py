"""File systems from a dictionary, as rules see them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import NamedTuple

from bakery.machine.disk_image import Partition
from bakery.machine.file_tree import FileTree
from bakery.machine.filesystem import Entry, FileSystem
from bakery.verify.inspection import InspectedDisk


class Program(NamedTuple):
    """A file with a mode of its own."""

    mode: int


Tree = dict[str, str | Program | None]  # text by path; None is a folder, "-> x" a link


class FakeFileSystem(FileSystem):
    """Copies some binary files; a tree from a dictionary needs no more of the reader."""

    def __init__(self, binaries: Mapping[str, bytes]) -> None:
        self._binaries = binaries

    def copy(self, paths: Iterable[str], folder: Path) -> None:
        for path in paths:
            target = folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._binaries[path])


class FakeDisk(InspectedDisk):
    """A disk with some partitions, which nothing reads."""

    partitions: Sequence[Partition] = ()


def make_disk(tree: Tree, raw: Path = Path("disk.raw"), binaries: Mapping[str, bytes] | None = None) -> InspectedDisk:
    """A disk whose root file system has the paths of a tree and of binary files, and the folders above them."""
    binaries = binaries or {}
    return FakeDisk(raw, FakeFileSystem(binaries), make_files({**tree, **dict.fromkeys(binaries, "")}))


def make_files(tree: Tree) -> FileTree:
    """The names of a tree. Inodes are numbers of its files."""
    folders: dict[str, dict[str, Entry]] = {"": {}}
    texts: dict[int, str] = {}
    for inode, (path, content) in enumerate(tree.items()):
        parent = ""
        for name in path.strip("/").split("/")[:-1]:
            folders[parent].setdefault(name, Entry(name, S_IFDIR | 0o755, 0))
            parent = f"{parent}/{name}"
            folders.setdefault(parent, {})
        name = path.rpartition("/")[2]
        folders[parent][name] = _make_entry(name, content, inode)
        if content is None:
            folders.setdefault(path, {})
        texts[inode] = content if isinstance(content, str) else ""
    listed = {path: tuple(entries.values()) for path, entries in folders.items()}
    return FileTree(listed, lambda entries: [texts[entry.inode] for entry in entries])


def _make_entry(name: str, content: str | Program | None, inode: int) -> Entry:
    match content:
        case None:
            return Entry(name, S_IFDIR | 0o755, 0, inode)
        case Program(mode):
            return Entry(name, S_IFREG | mode, 1, inode)
        case _:
            kind = S_IFLNK | 0o777 if content.startswith("-> ") else S_IFREG | 0o644
            return Entry(name, kind, len(content), inode)
