"""A disk as a stream of blocks, from a cloud or a raw file: read once, and digested or written to a file meanwhile."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bakery.host.parallel import call_in_order
from bakery.machine.block_list import BLOCK, ZEROS, BlockList, digest_blocks
from bakery.machine.disk_image import RawDigest
from bakery.machine.raw_disk import RawDisk
from bakery.model.documents import Disk


@dataclass(frozen=True)
class BlockStream:
    """A disk of `size` bytes that can be read once.

    `blocks` yields (index, BLOCK bytes) by ascending index; absent ones are zeros.
    """

    size: int
    blocks: Iterator[tuple[int, bytes]]


@dataclass(frozen=True)
class DiskDigest:
    """The digests of a disk. `sha256` is of its first `size` bytes, as one raw file."""

    size: int
    sha256: str
    blocks: BlockList


def open_raw(raw: Path) -> BlockStream:
    """The blocks of a raw file."""
    disk = RawDisk(raw, BLOCK)
    return BlockStream(disk.size, disk.written_blocks())


def describe_image(path: Path, sha256: str, content: DiskDigest) -> Disk:
    """The description of a qcow2 image with this content; `sha256` is that of its file."""
    return Disk(str(path), "qcow2", content.size, sha256, raw_sha256=content.sha256, blocks=content.blocks.sha256)


def digest_disk(disk: BlockStream, size: int | None = None) -> DiskDigest:
    """Read a disk and digest it. `size` limits the raw digest: a cloud may have rounded the disk's size up."""
    size = disk.size if size is None else size
    content = RawDigest(size)
    digests: dict[int, str] = {}
    for index, block in disk.blocks:
        if found := digest_blocks(index * BLOCK, block):
            digests |= found
            content.add(index * BLOCK, block)
    return DiskDigest(size, content.finish(), BlockList(digests))


def list_blocks(disk: BlockStream) -> BlockList:
    """Read a disk and list its blocks, without the time that a digest of the raw bytes takes for large holes."""
    return digest_disk(disk, size=0).blocks


def write_raw(disk: BlockStream, raw: Path) -> BlockStream:
    """The same disk, whose blocks are written to a sparse raw file while they are read."""

    def write_blocks() -> Iterator[tuple[int, bytes]]:
        with raw.open("wb") as stream:
            stream.truncate(disk.size)
            for index, block in disk.blocks:
                if block != ZEROS:
                    os.pwrite(stream.fileno(), block[: max(0, disk.size - index * BLOCK)], index * BLOCK)
                yield index, block

    return BlockStream(disk.size, write_blocks())


def fetch_blocks(
    indexes: Iterable[int], fetch: Callable[[int], bytes], *, workers: int, window: int
) -> Iterator[tuple[int, bytes]]:
    """Fetch blocks, `workers` at a time, and yield (index, bytes) in the order of `indexes`.

    At most `window` blocks are in memory.
    """
    calls = ((index, partial(fetch, index)) for index in indexes)
    return call_in_order(calls, workers=workers, window=window)
