"""Free blocks of the file systems on a raw disk: which of them still hold deleted content, and how to clear them."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bakery.host import process
from bakery.machine import disk_image, fat
from bakery.machine.disk_image import Partition
from bakery.machine.filesystem import EXT_MAGIC, MAGIC, SUPERBLOCK

PIECE = 4096  # bytes: what qemu-img and cloud uploads drop if all of them are zero
CHUNK = 1 << 20  # bytes read at once
# struct ext2_super_block of e2fsprogs: offsets in bytes, and EXT3_FEATURE_INCOMPAT_RECOVER.
LOG_BLOCK_SIZE, INCOMPATIBLE, RECOVER = 24, 96, 0x4
NODE_MAGIC, ENTRY = 0xF30A, 12  # EXT4_EXT_MAGIC of the kernel; the header has the size of an entry
BLOCKS = re.compile(r"^ +Free blocks: (.*)$", re.MULTILINE)  # one line for each group; the total is not indented
SWAP_HEADER, SWAP_MAGIC = 4096, b"SWAPSPACE2"  # mkswap(8): one page, whose last bytes are the signature


@dataclass(frozen=True)
class Extent:
    """Bytes of the disk, from `start` up to `end`."""

    start: int
    end: int


def find_remains(raw: Path, partition: Partition) -> Iterator[Extent]:
    """The pieces of free blocks of a partition that have content. Nothing for an unknown file system.

    A node of ext4's extents is no content: it holds numbers of blocks, and stays of the file that filled free space.
    """
    blocks = partition.size // PIECE
    return (extent for extent, piece in _find_pieces(raw, partition) if not _is_extent_node(piece, blocks))


def clear_free_space(raw: Path) -> int:
    """Write zeros to all free blocks of a raw disk that hold deleted content; returns their bytes.

    It knows ext2, ext3, ext4, FAT and swap space. A file system that was not unmounted stays as it is.
    """
    cleared = 0
    with raw.open("r+b") as stream:
        for partition in disk_image.partitions(raw):
            for extent in [extent for extent, _ in _find_pieces(raw, partition)]:
                stream.seek(extent.start)
                stream.write(bytes(extent.end - extent.start))
                cleared += extent.end - extent.start
    return cleared


def is_known(raw: Path, partition: Partition) -> bool:
    """Whether `find_remains` can tell which blocks of a partition are free."""
    return _is_unmounted_ext(raw, partition) or fat.is_fat(raw, partition) or _is_swap(raw, partition)


def is_blank(raw: Path, partition: Partition) -> bool:
    """Whether the first MiB of a partition is all zeros, as a partition without a file system has it."""
    return not _read(raw, partition.start, min(CHUNK, partition.size)).strip(b"\0")


def _is_unmounted_ext(raw: Path, partition: Partition) -> bool:
    """Whether a partition has an ext file system whose journal is empty: else that may know of other free blocks."""
    superblock = _read(raw, partition.start + SUPERBLOCK, INCOMPATIBLE + 4)
    features: int = struct.unpack_from("<I", superblock, INCOMPATIBLE)[0]
    return struct.unpack_from("<H", superblock, MAGIC)[0] == EXT_MAGIC and not features & RECOVER


def _is_swap(raw: Path, partition: Partition) -> bool:
    return _read(raw, partition.start + SWAP_HEADER - len(SWAP_MAGIC), len(SWAP_MAGIC)) == SWAP_MAGIC


def _list_free(raw: Path, partition: Partition) -> Iterator[Extent]:
    """The free blocks of a partition, in the order of the disk."""
    if _is_unmounted_ext(raw, partition):
        yield from _list_free_ext(raw, partition)
    elif fat.is_fat(raw, partition):
        yield from (Extent(start, end) for start, end in fat.list_free(raw, partition))
    elif _is_swap(raw, partition):
        yield Extent(partition.start + SWAP_HEADER, partition.start + partition.size)


def _list_free_ext(raw: Path, partition: Partition) -> Iterator[Extent]:
    size = 1024 << struct.unpack("<I", _read(raw, partition.start + SUPERBLOCK + LOG_BLOCK_SIZE, 4))[0]
    disk = f"{raw.name}?offset={partition.start}"  # options come after a question mark, as for debugfs
    groups = process.run(["dumpe2fs", disk], cwd=raw.parent, env={"LC_ALL": "C"}).stdout
    for ranges in filter(None, BLOCKS.findall(groups)):
        for text in ranges.split(", "):
            first, _, last = text.partition("-")
            start = partition.start + int(first) * size
            yield Extent(start, partition.start + (int(last or first) + 1) * size)


def _overlaps(free: Iterator[Extent], data: Iterator[tuple[int, int]]) -> Iterator[Extent]:
    """The common parts of two ordered lists of ranges: a hole of the file needs no look."""
    start, end = next(data, (0, 0))
    for extent in free:
        while end and end <= extent.start:
            start, end = next(data, (0, 0))
        while end and start < extent.end:
            yield Extent(max(start, extent.start), min(end, extent.end))
            if end > extent.end:
                break
            start, end = next(data, (0, 0))


def _find_pieces(raw: Path, partition: Partition) -> Iterator[tuple[Extent, bytes]]:
    """The pieces of free blocks that are not zeros, and their bytes."""
    with raw.open("rb") as stream:
        for extent in _overlaps(_list_free(raw, partition), disk_image.data_extents(raw)):
            for start in range(extent.start, extent.end, PIECE):
                stream.seek(start)
                piece = stream.read(min(PIECE, extent.end - start))
                if piece.count(0) < len(piece):
                    yield Extent(start, start + len(piece)), piece


def _is_extent_node(piece: bytes, blocks: int) -> bool:
    """Whether a block has nothing but numbers of blocks, as a node of a tree of extents: struct ext4_extent_header.

    Removing a file takes the number of entries back, and leaves the entries.
    """
    if len(piece) < PIECE:
        return False
    magic, _entries, most, depth = struct.unpack_from("<HHHH", piece)
    if magic != NODE_MAGIC or most > PIECE // ENTRY - 1:
        return False
    entries = piece[ENTRY : ENTRY * (most + 1)]
    # struct ext4_extent_idx and struct ext4_extent: where the low and the high part of the number of a block are.
    layout, low, high = ("<IIHH", 1, 2) if depth else ("<IHHI", 3, 2)
    return all(entry[low] | entry[high] << 32 < blocks for entry in struct.iter_unpack(layout, entries))


def _read(raw: Path, offset: int, size: int) -> bytes:
    with raw.open("rb") as stream:
        stream.seek(offset)
        return stream.read(size)
