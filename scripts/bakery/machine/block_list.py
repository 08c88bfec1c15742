"""The list of a disk's blocks: a text whose own SHA-256 is the digest of all blocks.

One line `INDEX:SHA256` for each block of 512 KiB that is not all zeros, by ascending index. INDEX is decimal and counts
from 0; SHA256 is in lower-case hex, over all 524,288 bytes of the block; bytes behind the end of the disk count as
zeros. The digest is therefore the same for every format and every cloud: some round a disk's size up, and some list
blocks of zeros that others leave out.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bakery.host.errors import BakeryError

BLOCK = 524_288  # bytes; the only block size of the EBS direct API, whose checksums are of such blocks
FILE = "blocks.txt"  # the list of a baked disk, in the folder of its artifact
LINE = re.compile(r"(0|[1-9][0-9]*):([0-9a-f]{64})")
ZEROS = bytes(BLOCK)


@dataclass(frozen=True)
class BlockList:
    """SHA-256 by index of the blocks that are not all zeros, in ascending order."""

    digests: Mapping[int, str]

    def dump(self) -> bytes:
        """The list as text."""
        return "".join(f"{index}:{digest}\n" for index, digest in self.digests.items()).encode()

    @property
    def sha256(self) -> str:
        """The digest of all blocks."""
        return hashlib.sha256(self.dump()).hexdigest()

    @classmethod
    def parse(cls, content: bytes, where: str) -> "BlockList":
        """The list in a text; BakeryError if it is something else."""
        matches = [LINE.fullmatch(line) for line in content.decode(errors="replace").splitlines()]
        blocks = cls({int(match[1]): match[2] for match in matches if match})
        if blocks.dump() != content or list(blocks.digests) != sorted(blocks.digests):
            raise BakeryError("it is not a list of blocks", where=where, hint="restore this file from a backup")
        return blocks


def digest_blocks(start: int, piece: bytes) -> dict[int, str]:
    """SHA-256 by index of the blocks of a piece that are not all zeros. `start` is its first byte on the disk.

    A piece begins and ends with a block.
    """
    blocks = ((start + at, piece[at : at + BLOCK]) for at in range(0, len(piece), BLOCK))
    return {at // BLOCK: hashlib.sha256(block).hexdigest() for at, block in blocks if block != ZEROS}
