"""The names in a file system, read once, so that many questions cost nothing more."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from stat import S_ISREG

from bakery.machine.filesystem import Entry, FileSystem

ROOT_INODE = 2  # EXT2_ROOT_INO of e2fsprogs
LONGEST = 4 << 20  # bytes of a file that is read as text: no settings are as long


class FileTree:
    """All folders and their entries. Links are entries like others: no path leads through one."""

    def __init__(
        self, folders: Mapping[str, Sequence[Entry]], read_files: Callable[[Sequence[Entry]], Sequence[str]]
    ) -> None:
        """`folders` are entries by absolute path, "" for the root; `read_files` gives the texts of files in order."""
        self._folders = folders
        self._read_files = read_files

    def list(self, path: str) -> Sequence[Entry]:
        """The entries of a folder; none if it does not exist."""
        return self._folders.get(path.rstrip("/"), ())

    def find(self, path: str) -> Entry | None:
        """One entry by its path; None if it does not exist."""
        folder, _, name = path.rpartition("/")
        return next((entry for entry in self.list(folder) if entry.name == name), None)

    def match(self, folder: str, pattern: str = "*") -> Sequence[str]:
        """The sorted paths of the entries of a folder whose names match a shell pattern."""
        return sorted(f"{folder}/{entry.name}" for entry in self.list(folder) if fnmatch(entry.name, pattern))

    def walk(self, path: str) -> Iterator[tuple[str, Entry]]:
        """(path, entry) of everything below a folder, except for folders."""
        for entry in self.list(path):
            below = f"{path.rstrip('/')}/{entry.name}"
            if entry.is_folder:
                yield from self.walk(below)
            else:
                yield below, entry

    def read(self, path: str) -> str:
        """Text of a file; empty if it does not exist or is a link."""
        return self.read_all([path]).get(path, "")

    def read_all(self, paths: Iterable[str]) -> dict[str, str]:
        """Texts by path, without what does not exist, is no plain file or is longer than any text."""
        entries = {path: entry for path in paths if (entry := self.find(path)) and _is_text(entry)}
        return dict(zip(entries, self._read_files(list(entries.values())), strict=True)) if entries else {}


def read_tree(root: FileSystem) -> FileTree:
    """Read all names of a file system, by one start of debugfs for each level of folders."""
    folders: dict[str, Sequence[Entry]] = {}
    level = {"": ROOT_INODE}
    while level:
        listings = dict(zip(level, root.list_folders(list(level.values())), strict=True))
        folders |= listings
        level = {
            f"{path}/{entry.name}": entry.inode
            for path, entries in listings.items()
            for entry in entries
            if entry.is_folder
        }
    return FileTree(folders, lambda entries: root.read_files([entry.inode for entry in entries]))


def _is_text(entry: Entry) -> bool:
    return S_ISREG(entry.mode) and entry.size <= LONGEST
