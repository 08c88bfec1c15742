"""Disks that no bake made."""

import subprocess
from pathlib import Path

from bakery.host import files
from bakery.machine import disk_image
from bakery.machine.block_list import BlockList
from bakery.machine.block_stream import describe_image, digest_disk, open_raw
from bakery.model.documents import Disk

MIB = 1 << 20


def write_disk(tree: Path, disk: Path) -> None:
    """A disk with one ext4 partition that holds a folder."""
    raw = disk.with_suffix(".raw")
    with raw.open("wb") as stream:
        stream.truncate(128 * MIB)
    subprocess.run(["sfdisk", "--quiet", raw], input="label: gpt\nsize=120MiB\n", text=True, check=True)
    (partition,) = disk_image.partitions(raw)
    options = ("-q", "-t", "ext4", "-d", tree, "-E", f"offset={partition.start}")
    subprocess.run(["mke2fs", *options, raw, f"{partition.size >> 10}k"], check=True, capture_output=True)
    disk_image.to_qcow2(raw, disk)


def describe_disk(disk: Path) -> tuple[Disk, BlockList]:
    """The description of a qcow2 image and the list of its blocks, as a bake makes them."""
    with disk_image.as_raw(disk) as raw:
        content = digest_disk(open_raw(raw))
    return describe_image(disk, files.sha256(disk), content), content.blocks
