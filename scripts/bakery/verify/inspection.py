"""A disk as rules see it: its root file system, its accounts and its partitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bakery.machine import disk_image
from bakery.machine.disk_image import Partition
from bakery.machine.file_tree import FileTree, read_tree
from bakery.machine.filesystem import FileSystem
from bakery.machine.root import open_root

PEOPLE = range(1000, 60000)  # UIDs of people's accounts: UID_MIN and UID_MAX of Debian's and Red Hat's login.defs


@dataclass(frozen=True)
class Account:
    """A line of /etc/passwd."""

    name: str
    uid: int
    home: str


@dataclass(frozen=True)
class InspectedDisk:
    """A raw disk, and the names in its root file system."""

    raw: Path
    root: FileSystem
    files: FileTree

    @cached_property
    def partitions(self) -> Sequence[Partition]:
        return disk_image.partitions(self.raw)

    @cached_property
    def accounts(self) -> Sequence[Account]:
        """The accounts of a Linux system."""
        lines = (line.split(":") for line in self.files.read("/etc/passwd").splitlines())
        return [
            Account(fields[0], int(fields[2]), fields[5])
            for fields in lines
            if len(fields) > 5 and fields[2].isdecimal()
        ]

    @cached_property
    def homes(self) -> Sequence[str]:
        """Home folders of all accounts, including those of deleted ones."""
        folders = {f"/home/{entry.name}" for entry in self.files.list("/home") if entry.is_folder}
        return sorted(({account.home for account in self.accounts} | folders | {"/root"}) - {"", "/"})

    @cached_property
    def login_homes(self) -> Sequence[str]:
        """The home folders that are made for a login: root's and people's, not a service's folder of files."""
        people = {account.home for account in self.accounts if account.uid in PEOPLE}
        return [home for home in self.homes if home == "/root" or home.startswith("/home/") or home in people]


def inspect(raw: Path) -> InspectedDisk:
    """Read the names on a raw disk; NoRootError if it has no root file system that can be read."""
    root = open_root(raw)
    return InspectedDisk(raw, root, read_tree(root))
