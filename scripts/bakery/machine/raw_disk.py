"""Reads a raw disk file as blocks for a cloud."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from bakery.host.errors import BakeryError
from bakery.host.parallel import threads
from bakery.machine.disk_image import data_extents

GIB = 1 << 30

Result = TypeVar("Result")


class RawDisk:
    """Reads a raw disk once, in order; afterwards `sha256` is the digest of all its bytes, holes included."""

    def __init__(self, path: Path, block: int) -> None:
        """`block` is the size in bytes of the blocks of `written_blocks`."""
        self._path = path
        self._block = block
        self._zeros = bytes(block)
        self._digest = hashlib.sha256()
        self.size = path.stat().st_size
        self.blocks = -(-self.size // block)

    @property
    def gib(self) -> int:
        """The smallest volume that holds the disk."""
        return -(-self.size // GIB)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def written_blocks(self) -> Iterator[tuple[int, bytes]]:
        """(index, bytes) of every block that is not all zeros, in order. Holes of the file are not read."""
        done = 0
        with self._path.open("rb", buffering=0) as file:
            for start, end in data_extents(self._path):
                for index in range(max(done, start // self._block), -(-end // self._block)):
                    self._add_hole(done, index)
                    # The last block may be short; a volume has zeros behind the disk's end.
                    block = os.pread(file.fileno(), self._block, index * self._block).ljust(self._block, b"\0")
                    self._add_block(block, index)
                    done = index + 1
                    if block != self._zeros:
                        yield index, block
        self._add_hole(done, self.blocks)

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
            if hashlib.sha256(block).hexdigest() != earlier.get(index):
                yield index, block
        yield from ((index, self._zeros) for index in unseen)

    def _add_hole(self, start: int, end: int) -> None:
        for index in range(start, end):
            self._add_block(self._zeros, index)

    def _add_block(self, block: bytes, index: int) -> None:
        self._digest.update(block[: self.size - index * self._block])


def send_blocks(
    disk: RawDisk,
    send: Callable[[int, bytes], Result],
    *,
    sha256: str,
    workers: int,
    window: int,
    finish: Callable[[Future[Result]], Result] = Future.result,
    earlier: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[tuple[int, Result]]:
    """Send the blocks that differ from an `earlier` disk, `workers` at a time; yields (index, result) in order.

    Without an earlier disk, as of `changed_blocks`, blocks of zeros are not sent. At most `window` blocks are in
    memory. `finish` waits for a block. Raises BakeryError after the last block if the digest of the content is not
    `sha256`.
    """
    sending: deque[tuple[int, Future[Result]]] = deque()
    with threads(workers) as submit:
        for index, block in disk.changed_blocks(earlier):
            sending.append((index, submit(partial(send, index, block))))
            if len(sending) == window:
                first, future = sending.popleft()
                yield first, finish(future)
        for index, future in sending:
            yield index, finish(future)
    if disk.sha256 != sha256:
        raise BakeryError(
            "the disk's content changed since it was baked",
            detail=f"baked {sha256}\nread  {disk.sha256}",
            hint="the disk changed while it was read, or the conversion to raw is broken: run again",
        )
