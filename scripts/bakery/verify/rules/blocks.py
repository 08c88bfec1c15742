"""Rules: nothing that was deleted can be read back from the disk."""

from collections.abc import Iterator

from bakery.machine import free_space
from bakery.verify.inspection import InspectedDisk
from bakery.verify.rule import Remark, Rule
from bakery.verify.rules import sources


def _find_remains(disk: InspectedDisk) -> Iterator[str]:
    for partition in disk.partitions:
        name = f"partition {partition.number}"
        remains = list(free_space.find_remains(disk.raw, partition))
        if remains:
            size = sum(extent.end - extent.start for extent in remains)
            yield f"{name}: {size >> 10} KiB of free blocks have content, the first at byte {remains[0].start}"
        if not free_space.is_known(disk.raw, partition) and not free_space.is_blank(disk.raw, partition):
            yield Remark(f"{name}: free blocks were not read")


RULES = (
    Rule(
        "free blocks are empty",
        "Deleted files can be read back from a copy of the disk.",
        sources.SPARSIFY,
        "Bake the image again: each bake clears the free blocks of ext2, ext3, ext4, FAT and swap space.",
        _find_remains,
    ),
)
