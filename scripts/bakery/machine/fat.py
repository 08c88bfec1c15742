"""Names and free clusters of a FAT file system in a partition of a raw disk, such as the EFI system partition."""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bakery.machine.disk_image import Partition

# Microsoft, "FAT32 File System Specification": the boot sector, and how the number of clusters tells the type.
SIGNATURES = ((82, b"FAT32   "), (54, b"FAT16   "))
BOOT_SECTOR = 90  # bytes that have fields of FAT32
CLUSTER_BITS = 0x0FFFFFFF  # FAT32 uses 28 bits of an entry


@dataclass(frozen=True)
class Layout:
    """The offsets of the table and the data in a partition, and the sizes of a cluster and an entry, in bytes."""

    table: int
    data: int
    cluster: int
    clusters: int
    entry: int


def is_fat(raw: Path, partition: Partition) -> bool:
    """Whether a partition has FAT16 or FAT32."""
    sector = _read(raw, partition.start, BOOT_SECTOR)
    return any(sector[offset : offset + len(name)] == name for offset, name in SIGNATURES)


def read_names(raw: Path, partition: Partition) -> tuple[bytes, bytes]:
    """The serial number and the label of a file system, as its boot sector has them."""
    sector = _read(raw, partition.start, BOOT_SECTOR)
    type_at = next(offset for offset, name in SIGNATURES if sector[offset : offset + len(name)] == name)
    return sector[type_at - 15 : type_at - 11], sector[type_at - 11 : type_at]


def list_free(raw: Path, partition: Partition) -> Iterator[tuple[int, int]]:
    """(start, end) in bytes of the disk of each run of free clusters, in order."""
    layout = _read_layout(_read(raw, partition.start, BOOT_SECTOR))
    table = array("I" if layout.entry == 4 else "H")
    table.frombytes(_read(raw, partition.start + layout.table, (layout.clusters + 2) * layout.entry))
    first: int | None = None
    for number in range(2, layout.clusters + 3):  # the first two entries are of no cluster
        is_free = number < layout.clusters + 2 and not table[number] & CLUSTER_BITS
        if is_free and first is None:
            first = number
        elif not is_free and first is not None:
            base = partition.start + layout.data - 2 * layout.cluster
            yield base + first * layout.cluster, base + number * layout.cluster
            first = None


def _read_layout(sector: bytes) -> Layout:
    bytes_per_sector, per_cluster, reserved, tables, root_entries, small_total = struct.unpack_from(
        "<HBHBHH", sector, 11
    )
    (small_size,) = struct.unpack_from("<H", sector, 22)
    large_total, large_size = struct.unpack_from("<II", sector, 32)
    size = small_size or large_size
    root_sectors = -(-root_entries * 32 // bytes_per_sector)
    data = reserved + tables * size + root_sectors
    return Layout(
        table=reserved * bytes_per_sector,
        data=data * bytes_per_sector,
        cluster=per_cluster * bytes_per_sector,
        clusters=((small_total or large_total) - data) // per_cluster,
        entry=2 if small_size else 4,
    )


def _read(raw: Path, offset: int, size: int) -> bytes:
    with raw.open("rb") as stream:
        stream.seek(offset)
        return stream.read(size)
