"""Disks that no bake made."""

import subprocess
from pathlib import Path

from bakery.machine import disk_image

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
    disk_image.to_qcow2(raw, disk, compress=False)
