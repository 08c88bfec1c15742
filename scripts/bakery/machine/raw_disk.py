"""Reads the content of a disk image as blocks, for digests, and sends them to a cloud."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from bakery.host.errors import BakeryError
from bakery.host.parallel import call_in_order
from bakery.machine.block_list import BlockList, digest_blocks
from bakery.machine.disk_image import Layout, raw_layout
from bakery.model.documents import Disk

GIB = 1 << 30

Result = TypeVar("Result")


class RawDisk:
    """A disk in a file, whose blocks are read in order."""

    def __init__(self, path: Path, block: int, layout: Layout | None = None) -> None:
        """`block` is the size in bytes of the blocks of `written_blocks`. A file without a layout is a raw disk."""
        self._path = path
        self._block = block
        self._layout = layout or raw_layout(path)
        self._zeros = bytes(block)
        self.size = self._layout.size
        self.blocks = -(-self.size // block)

    @property
    def gib(self) -> int:
        """The smallest volume that holds the disk."""
        return -(-self.size // GIB)

    def written_blocks(self) -> Iterator[tuple[int, bytes]]:
        """(index, bytes) of every block that is not all zeros, in order. Holes of the file are not read."""
        return ((index, block) for index, block in self._filled_blocks() if block != self._zeros)

    def changed_blocks(self, earlier: Mapping[int, str]) -> Iterator[tuple[int, bytes]]:
        """(index, bytes) of every block that differs from an earlier disk, in order, also of those that became zero.

        `earlier` has the SHA-256 by index of that disk's blocks; absent ones are zeros, as in a list of blocks.
        """
        unseen = deque(sorted(earlier))
        for index, block in self.written_blocks():
            while unseen and unseen[0] < index:
                yield unseen.popleft(), self._zeros
            if unseen and unseen[0] == index:
                unseen.popleft()
            if index not in earlier or hashlib.sha256(block).hexdigest() != earlier[index]:
                yield index, block
        yield from ((index, self._zeros) for index in unseen)

    def _filled_blocks(self) -> Iterator[tuple[int, bytes]]:
        """(index, bytes) of every block that has an extent, in order; bytes outside of extents are zeros."""
        index, block = 0, bytearray()
        with self._path.open("rb", buffering=0) as file:
            for extent in self._layout.extents:
                start = extent.start
                while start < extent.end:
                    if block and index != start // self._block:
                        yield index, bytes(block)
                        block.clear()
                    index = start // self._block
                    block = block or bytearray(self._block)
                    size = min(extent.end, (index + 1) * self._block) - start
                    at = start - index * self._block
                    block[at : at + size] = self._read(file, extent.offset + start - extent.start, size)
                    start += size
        if block:
            yield index, bytes(block)

    def _read(self, file: FileIO, offset: int, size: int) -> bytes:
        content = os.pread(file.fileno(), size, offset)
        if len(content) != size:
            raise BakeryError("the disk became shorter while it was read", where=str(self._path), hint="run again")
        return content


class BakedDisk(RawDisk):
    """A disk that a bake described, digested while it is read. `block` is a whole number of blocks of a block list."""

    def __init__(self, disk: Disk, block: int, layout: Layout | None = None) -> None:
        super().__init__(Path(disk.path), block, layout)
        self._disk = disk
        self._digests: dict[int, str] = {}

    def written_blocks(self) -> Iterator[tuple[int, bytes]]:
        for index, block in super().written_blocks():
            self._digests |= digest_blocks(index * self._block, block)
            yield index, block

    def refuse_changed(self) -> None:
        """BakeryError unless all blocks were read, and they are those of the bake."""
        blocks, baked = BlockList(self._digests).sha256, self._disk
        if (blocks, self.size) != (baked.blocks, baked.virtual_size):
            raise BakeryError(
                "the disk's content changed since it was baked",
                detail=f"baked {baked.blocks}, {baked.virtual_size} bytes\nread  {blocks}, {self.size} bytes",
                hint="the disk changed while it was read, or the conversion to raw is broken: run again",
            )


def send_blocks(
    disk: BakedDisk,
    send: Callable[[int, bytes], Result],
    *,
    workers: int,
    window: int,
    finish: Callable[[Future[Result]], Result] = Future.result,
    earlier: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[tuple[int, Result]]:
    """Send the blocks that differ from an `earlier` disk, `workers` at a time; yields (index, result) in order.

    Without an earlier disk, as of `changed_blocks`, blocks of zeros are not sent. At most `window` blocks are in
    memory. `finish` waits for a block. Raises BakeryError after the last block if the disk was changed.
    """
    calls = ((index, partial(send, index, block)) for index, block in disk.changed_blocks(earlier))
    yield from call_in_order(calls, workers=workers, window=window, finish=finish)
    disk.refuse_changed()
