"""Reads ext file systems in a raw disk with debugfs, without a mount and without privileges."""

import re
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISLNK

from bakery.host import files, process
from bakery.machine import disk_image

# Discoverable Partitions Specification: root (x86-64). Vendors also use older types.
ROOT_TYPE = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
# Offsets in an ext superblock, itself 1024 bytes into the partition: struct ext2_super_block of e2fsprogs.
SUPERBLOCK, BLOCK_SIZE, MAGIC = 1024, 24, 56
EXT_MAGIC = 0xEF53
# e2fsck(8), fragcheck: "12(f): expecting     11 actual extent phys     12 log 1 len 1", and "got phys" without extents.
FRAGMENT = re.compile(r"expecting +(\d+) (?:actual extent|got) phys +(\d+)")
# debugfs(8), stat, of a regular file in one extent: its size in bytes, its last block within the file, and its first
# block on the disk.
ONE_EXTENT = re.compile(r"Type: regular .*? Size: (\d+)\n.*\nEXTENTS:\n\(0(?:-(\d+))?\):(\d+)(?:-\d+)?\n*$", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """A name in a folder; size in bytes, 0 for folders."""

    name: str
    mode: int
    size: int
    inode: int = 0

    @property
    def is_folder(self) -> bool:
        return S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return S_ISLNK(self.mode)


class FileSystem:
    """An ext2, ext3 or ext4 file system in a partition of a raw disk."""

    def __init__(self, raw: Path, partition: disk_image.Partition) -> None:
        self.partition = partition
        self.raw = raw
        with raw.open("rb") as stream:
            stream.seek(partition.start + SUPERBLOCK + BLOCK_SIZE)
            self._block: int = 1024 << struct.unpack("<I", stream.read(4))[0]

    def list(self, path: str) -> list[Entry]:
        """The entries of a folder; none if it does not exist."""
        return _parse_listing(self._ask_debugfs(f'ls -p "{path}"'))

    def list_folders(self, inodes: Sequence[int]) -> Sequence[Sequence[Entry]]:
        """The entries of folders by their inodes, in the same order, by one start of debugfs."""
        return [_parse_listing(answer) for answer in self._ask_all([f"ls -p <{inode}>" for inode in inodes])]

    def read_files(self, inodes: Sequence[int]) -> Sequence[str]:
        """The texts of files by their inodes, in the same order, by one start of debugfs."""
        return self._ask_all([f"cat <{inode}>" for inode in inodes])

    def find(self, path: str) -> Entry | None:
        """One entry by its path; None if it does not exist."""
        folder, _, name = path.rpartition("/")
        return next((entry for entry in self.list(folder or "/") if entry.name == name), None)

    def walk(self, path: str) -> Iterator[tuple[str, Entry]]:
        """(path, entry) of everything below a folder, except for folders."""
        for entry in self.list(path):
            below = f"{path}/{entry.name}"
            if entry.is_folder:
                yield from self.walk(below)
            else:
                yield below, entry

    def read(self, path: str) -> str:
        """Text of a file; empty if it does not exist."""
        return self._ask_debugfs(f'cat "{path}"')

    def copy(self, paths: Iterable[str], folder: Path) -> None:
        """Copy files and folders to the same paths below `folder`; those that are not there are left out."""
        requests = []
        for path in paths:
            target = folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            requests.append(f'rdump "{path}" "{target.parent.absolute()}"\n')
        with files.scratch(folder, "debugfs") as scratch:
            script = scratch / "requests"
            script.write_text("".join(requests))
            self._start_debugfs("-f", script.absolute())

    def owner(self, offset: int) -> str:
        """The path of the file that contains a byte of the disk, or the byte's block if no file contains it."""
        block = (offset - self.partition.start) // self._block
        inode = self._second_column(f"icheck {block}")
        path = self._second_column(f"ncheck {inode}") if inode.isdecimal() else ""
        return path or f"block {block} of the root file system, in no file"

    def locate(self, paths: Sequence[str]) -> Sequence[tuple[int, int] | None]:
        """(start, end) in bytes of the disk of each file, by one start of debugfs; None unless it is in one extent."""
        return [self._parse_place(answer) for answer in self._ask_all([f'stat "{path}"' for path in paths])]

    def jumps(self) -> dict[int, int]:
        """The end of each fragment of a file -> the start of the file's next one, in bytes of the disk."""
        disk = f"{self.raw.name}?offset={self.partition.start}"
        check = ["e2fsck", "-f", "-n", "-E", "fragcheck", disk]
        report = process.run(check, cwd=self.raw.parent, check=False).stdout  # fails for a disk that was not unmounted
        blocks = (map(int, found.groups()) for found in FRAGMENT.finditer(report))
        return {self._position(end): self._position(start) for end, start in blocks}

    def _parse_place(self, answer: str) -> tuple[int, int] | None:
        match = ONE_EXTENT.search(answer)
        if match is None:
            return None
        size, last, block = (int(number or 0) for number in match.groups())
        start = self._position(block)
        return (start, start + size) if size <= (last + 1) * self._block else None  # else the rest is a hole

    def _position(self, block: int) -> int:
        return self.partition.start + block * self._block

    def _second_column(self, request: str) -> str:
        """The second column of the only row after the heading."""
        rows = self._ask_debugfs(request).splitlines()[1:]
        return rows[0].partition("\t")[2].strip() if rows else ""

    def _ask_all(self, requests: Sequence[str]) -> Sequence[str]:
        """The answers to several requests. debugfs prints each request before its answer."""
        with tempfile.TemporaryDirectory(prefix="bakery-debugfs-") as scratch:
            script = Path(scratch, "requests")
            script.write_text("".join(f"{request}\n" for request in requests))
            output = self._start_debugfs("-f", script)
        answers, end = [], len(output)
        for request in reversed(requests):  # without copies of the output, which is long for thousands of files
            heading = f"debugfs: {request}\n"
            start = output.rindex(heading, 0, end)
            answers.append(output[start + len(heading) : end])
            end = start
        return answers[::-1]

    def _ask_debugfs(self, request: str) -> str:
        return self._start_debugfs("-R", request)

    def _start_debugfs(self, *options: str | Path) -> str:
        # debugfs reads options from a name with a question mark; without its folder, this name has none.
        disk = f"{self.raw.name}?offset={self.partition.start}"
        return process.run(["debugfs", "-c", *options, disk], cwd=self.raw.parent).stdout


def ext_file_systems(raw: Path) -> list[FileSystem]:
    """All ext file systems of a raw disk."""
    return [FileSystem(raw, part) for part in disk_image.partitions(raw) if is_ext(raw, part.start)]


def _parse_listing(text: str) -> list[Entry]:
    entries = []
    for line in text.splitlines():
        # /inode/mode/uid/gid/name/size/
        fields = line.split("/")
        if len(fields) == 8 and fields[5] not in (".", ".."):
            entries.append(Entry(fields[5], int(fields[2], 8), int(fields[6] or 0), int(fields[1])))
    return entries


def root_of(raw: Path) -> FileSystem | None:
    """The root file system: the partition with that type, else the largest one. None without an ext file system."""
    readable = [partition for partition in disk_image.partitions(raw) if is_ext(raw, partition.start)]
    if not readable:
        return None
    return FileSystem(raw, max(readable, key=lambda partition: (partition.type == ROOT_TYPE, partition.size)))


def is_ext(raw: Path, start: int) -> bool:
    """Whether a partition that starts at a byte of the disk has an ext file system."""
    with raw.open("rb") as stream:
        stream.seek(start + SUPERBLOCK + MAGIC)
        return stream.read(2) == struct.pack("<H", EXT_MAGIC)
