"""The EFI system partition of a raw disk, read with mtools, without a mount and without privileges."""

from pathlib import Path

from bakery.host import process
from bakery.machine.disk_image import Partition

TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # UEFI specification, table of partition types


def has_file(raw: Path, partition: Partition, path: str) -> bool:
    """Whether a partition has a file, or a folder; False for a partition without a FAT file system."""
    return process.run(["mdir", "-b", "-i", f"{raw}@@{partition.start}", f"::{path}"], check=False).returncode == 0
