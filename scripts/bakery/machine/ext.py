"""Reads the entries of an ext2, ext3 or ext4 file system in a raw disk: names, attributes and data, byte for byte.

Offsets and flags are those of the kernel's documentation, "ext4 Data Structures and Algorithms".
"""

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.machine.disk_image import Partition
from bakery.machine.filesystem import SUPERBLOCK

ROOT_INODE = 2
RECOVER, META_GROUPS, LONG_DESCRIPTORS, FILE_TYPES = 0x4, 0x10, 0x80, 0x2  # features that change how it is read
ORPHANS_PRESENT = 0x10000  # a read-only feature that is set while it is mounted
EXTENTS, INLINE = 0x80000, 0x10000000  # flags of an inode
# Flags that say how the kernel keeps an inode: indexed, huge, extents, attribute inode, inline data.
LAYOUT = 0x1000 | 0x40000 | EXTENTS | 0x200000 | INLINE
EXTENT_MAGIC, ATTRIBUTE_MAGIC = 0xF30A, 0xEA020000
WRITTEN = 32768  # longest extent with data; a longer number means one that reads as zeros
SYSTEM, DATA = 7, b"data"  # the attribute that has the rest of inline data
FAST_LINK = 60  # bytes of a target that fits into the inode
PATH_MAX = 4096  # bytes of a path in Linux, with a zero at the end


@dataclass(frozen=True)
class Attribute:
    """An extended attribute: the number of its namespace, the name in it, and the value as it is on the disk."""

    namespace: int
    name: bytes
    value: bytes


@dataclass(frozen=True)
class Node:
    """An inode: its number, mode with the type, owners, flags, size in bytes, and where its content is."""

    number: int
    mode: int
    uid: int
    gid: int
    flags: int
    size: int
    links: int
    blocks: bytes
    attributes: tuple[Attribute, ...]

    @property
    def device(self) -> tuple[int, int]:
        """The major and minor number of a device."""
        old, new = struct.unpack_from("<II", self.blocks)
        if old:
            return old >> 8 & 0xFF, old & 0xFF
        return new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xFFF00


class ExtReader:
    """One file system. A context manager, which keeps the disk open."""

    def __init__(self, raw: Path, partition: Partition) -> None:
        self._raw = raw
        self._start = partition.start
        self._file = os.open(raw, os.O_RDONLY)
        self._super = self._pread(SUPERBLOCK, 1024)
        (self._block,) = (1024 << exponent for exponent in self._unpack("<I", 0x18))
        self._inodes_per_group = self._unpack("<I", 0x28)[0]
        self._inode_size = self._unpack("<H", 0x58)[0] if self._unpack("<I", 0x4C)[0] else 128
        self._compatible, self._features, self._read_only = self._unpack("<III", 0x5C)
        self._descriptor = self._unpack("<H", 0xFE)[0] if self._features & LONG_DESCRIPTORS else 32

    def __enter__(self) -> "ExtReader":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    @property
    def is_unmounted(self) -> bool:
        """Whether its journal is empty; else a mount would show other files than `walk`."""
        return not self._features & RECOVER

    @property
    def identity(self) -> bytes:
        """The fields of the superblock that a mount does not change: sizes, features, UUID, label, default options."""
        sizes = self._super[0x00:0x0C] + self._super[0x14:0x2C]
        features = struct.pack("<III", self._compatible, self._features & ~RECOVER, self._read_only & ~ORPHANS_PRESENT)
        names = self._super[0x68:0x88]  # UUID, label
        return sizes + struct.pack("<H", self._inode_size) + features + names + self._super[0x100:0x104]

    def walk(self) -> Iterator[tuple[bytes, Node]]:
        """(path, inode) of everything below the root, and the root itself as an empty path."""
        pending = [(b"", self._read_node(ROOT_INODE))]
        while pending:
            path, node = pending.pop()
            yield path, node
            if stat.S_ISDIR(node.mode):
                pending += [(path + b"/" + name, self._read_node(number)) for name, number in self._list(node)]

    def read(self, node: Node) -> Iterator[bytes]:
        """The data of a file, folder or link in pieces."""
        if node.flags & INLINE:
            rest = next((item.value for item in node.attributes if (item.namespace, item.name) == (SYSTEM, DATA)), b"")
            yield (node.blocks + rest)[: node.size]
            return
        position = 0
        for logical, count, physical in self._list_runs(node):
            start = logical * self._block
            if start >= node.size:
                break
            yield from _zeros(start - position)
            position = min(start + count * self._block, node.size)
            for offset in range(start, position, files.CHUNK):
                yield self._pread(physical * self._block + offset - start, min(files.CHUNK, position - offset))
        yield from _zeros(node.size - position)

    def digest(self, node: Node) -> str:
        """SHA-256 of the data of a file."""
        content = hashlib.sha256()
        for piece in self.read(node):
            content.update(piece)
        return content.hexdigest()

    def target(self, node: Node) -> bytes:
        """The target of a link."""
        if not 0 < node.size < PATH_MAX:
            raise self._damaged("the length of a link")
        is_fast = node.size < FAST_LINK and not node.flags & (EXTENTS | INLINE)
        target = node.blocks[: node.size] if is_fast else b"".join(self.read(node))
        if b"\0" in target:
            raise self._damaged("the target of a link")
        return target

    def _list(self, folder: Node) -> Iterator[tuple[bytes, int]]:
        """(name, inode) of the entries of a folder. An index has the form of entries that are not in use."""
        content = b"".join(self.read(folder))
        position = 4 if folder.flags & INLINE else 0  # the inode of its parent is not an entry there
        while position + 8 <= len(content):
            number, length, name_length = struct.unpack_from("<IHH", content, position)
            if self._features & FILE_TYPES:
                name_length &= 0xFF
            name = content[position + 8 : position + 8 + name_length]
            if number and name not in (b".", b".."):
                if b"/" in name or b"\0" in name:  # it would lead out of a copy of the folder, or be no path
                    raise self._damaged("a name")
                yield name, number
            position += length or self._block

    def _read_node(self, number: int) -> Node:
        group, index = divmod(number - 1, self._inodes_per_group)
        descriptor = self._pread(self._find_descriptor(group), self._descriptor)
        (table,) = struct.unpack_from("<I", descriptor, 0x08)
        if self._descriptor > 32:
            table |= struct.unpack_from("<I", descriptor, 0x28)[0] << 32
        inode = self._pread(table * self._block + index * self._inode_size, self._inode_size)
        mode, uid, size, gid, links, flags = struct.unpack_from("<HHI16xHH4xI", inode)
        size_high, uid_high, gid_high = struct.unpack_from("<I8xHH", inode, 0x6C)
        return Node(
            number,
            mode,
            uid | uid_high << 16,
            gid | gid_high << 16,
            flags,
            size | size_high << 32,
            links,
            inode[0x28:0x64],
            tuple(self._list_attributes(inode)),
        )

    def _find_descriptor(self, group: int) -> int:
        """The offset of the descriptor of a group of blocks."""
        per_block = self._block // self._descriptor
        first_block = self._unpack("<I", 0x14)[0]
        table, index = divmod(group, per_block)
        if not self._features & META_GROUPS or table < self._unpack("<I", 0x104)[0]:
            return (first_block + 1) * self._block + group * self._descriptor
        # In each set of groups that share a block of descriptors, the first one has it, behind its superblock.
        lead = table * per_block
        start = first_block + lead * self._unpack("<I", 0x20)[0]
        return (start + self._has_superblock(lead)) * self._block + index * self._descriptor

    def _has_superblock(self, group: int) -> bool:
        if group <= 1 or not self._read_only & 0x1:  # sparse_super
            return True
        return any(group == base**power for base in (3, 5, 7) for power in range(1, 21))

    def _list_attributes(self, inode: bytes) -> Iterator[Attribute]:
        if len(inode) > 128:
            start = 128 + struct.unpack_from("<H", inode, 0x80)[0]
            if start + 4 <= len(inode) and struct.unpack_from("<I", inode, start)[0] == ATTRIBUTE_MAGIC:
                yield from self._parse_attributes(inode[start + 4 :], 0)
        low, high = struct.unpack_from("<I8xH", inode, 0x68)
        if block := low | high << 32:
            yield from self._parse_attributes(self._pread(block * self._block, self._block), 32)

    def _parse_attributes(self, area: bytes, position: int) -> Iterator[Attribute]:
        """The attributes whose entries begin at a position of an area, from which their values are counted."""
        while position + 16 <= len(area) and area[position : position + 4] != bytes(4):
            length, namespace, offset, inode, size = struct.unpack_from("<BBHII", area, position)
            name = area[position + 16 : position + 16 + length]
            value = b"".join(self.read(self._read_node(inode))) if inode else area[offset : offset + size]
            yield Attribute(namespace, name, value)
            position += 16 + -(-length // 4) * 4

    def _list_runs(self, node: Node) -> Iterator[tuple[int, int, int]]:
        """(first block of the file, count, first block of the file system) of runs with data, in order."""
        if node.flags & EXTENTS:
            yield from self._parse_extents(node.blocks)
            return
        numbers = struct.unpack("<15I", node.blocks)
        yield from ((logical, 1, physical) for logical, physical in enumerate(numbers[:12]) if physical)
        logical, span = 12, self._block // 4
        for depth, block in enumerate(numbers[12:], start=1):
            yield from self._parse_map(block, depth, logical)
            logical += span**depth

    def _parse_extents(self, area: bytes) -> Iterator[tuple[int, int, int]]:
        magic, count, _, depth = struct.unpack_from("<HHHH", area)
        if magic != EXTENT_MAGIC:
            raise self._damaged("a tree of extents")
        for position in range(12, 12 + 12 * count, 12):
            if depth:
                low, high = struct.unpack_from("<4xIH", area, position)
                yield from self._parse_extents(self._pread((low | high << 32) * self._block, self._block))
                continue
            logical, length, high, low = struct.unpack_from("<IHHI", area, position)
            if length <= WRITTEN:
                yield logical, length, low | high << 32

    def _parse_map(self, block: int, depth: int, logical: int) -> Iterator[tuple[int, int, int]]:
        if not block:
            return
        span = (self._block // 4) ** (depth - 1)
        for (number,) in struct.iter_unpack("<I", self._pread(block * self._block, self._block)):
            if number and depth == 1:
                yield logical, 1, number
            elif number:
                yield from self._parse_map(number, depth - 1, logical)
            logical += span

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(layout, self._super, offset)

    def _pread(self, offset: int, size: int) -> bytes:
        content = os.pread(self._file, size, self._start + offset)
        if len(content) < size:
            raise self._damaged("a number of a block")
        return content

    def _damaged(self, part: str) -> BakeryError:
        return BakeryError(
            f"the file system is damaged: {part} is wrong", where=str(self._raw), hint="run 'e2fsck -f' on a copy of it"
        )


def _zeros(count: int) -> Iterator[bytes]:
    for start in range(0, count, files.CHUNK):
        yield bytes(min(files.CHUNK, count - start))
