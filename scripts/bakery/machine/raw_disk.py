"""A raw disk file as the blocks that a cloud wants."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from bakery.machine.disk_image import extents

GIB = 1 << 30


class RawDisk:
    """Reads a raw disk once, in order; afterwards `sha256` is the digest of all its bytes, holes included."""

    def __init__(self, path: Path, block: int) -> None:
        """`block` is the size in bytes of what `written_blocks` gives."""
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
            for start, end in extents(self._path):
                for index in range(max(done, start // self._block), -(-end // self._block)):
                    self._see_hole(done, index)
                    # The last block may be short; what a volume has behind the disk's end is zeros.
                    block = os.pread(file.fileno(), self._block, index * self._block).ljust(self._block, b"\0")
                    self._see(block, index)
                    done = index + 1
                    if block != self._zeros:
                        yield index, block
        self._see_hole(done, self.blocks)

    def _see_hole(self, start: int, end: int) -> None:
        for index in range(start, end):
            self._see(self._zeros, index)

    def _see(self, block: bytes, index: int) -> None:
        self._digest.update(block[: self.size - index * self._block])
