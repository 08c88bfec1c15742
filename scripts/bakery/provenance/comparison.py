"""The differences between the disk that a cloud holds and the one that a statement names."""

from collections.abc import Iterator

from bakery.host.text import count_of
from bakery.machine.block_list import BLOCK, BlockList
from bakery.machine.block_stream import DiskDigest
from bakery.provenance.subjects import AttestedDisk


def compare_disks(held: DiskDigest, attested: AttestedDisk, expected: BlockList | None) -> str:
    """The difference in words; empty if there is none. `expected` is None where nobody kept the list of blocks."""
    if held.blocks.sha256 != attested.blocks:
        listed = expected if expected and expected.sha256 == attested.blocks else None
        return _describe_blocks(held.blocks, listed) if listed else _describe_digest(held, attested)
    if held.sha256 != attested.sha256:
        return f"its first {attested.size} bytes have the SHA-256 {held.sha256}, expected {attested.sha256}"
    return ""


def _describe_blocks(held: BlockList, expected: BlockList) -> str:
    differences = list(_find_differences(held, expected))
    index, change = differences[0]
    verb = "differs" if len(differences) == 1 else "differ"
    return f"{count_of(len(differences), 'block')} {verb}, first block {index} at byte {index * BLOCK}: {change}"


def _find_differences(held: BlockList, expected: BlockList) -> Iterator[tuple[int, str]]:
    for index in sorted(held.digests.keys() | expected.digests.keys()):
        actual, wanted = held.digests.get(index), expected.digests.get(index)
        if actual != wanted:
            yield index, "missing" if actual is None else "not in the list" if wanted is None else "changed"


def _describe_digest(held: DiskDigest, attested: AttestedDisk) -> str:
    return f"its blocks have the digest {held.blocks.sha256}, expected {attested.blocks}"
