import struct
from pathlib import Path

import pytest

from bakery.machine.disk_image import Partition
from bakery.machine.fat import is_fat, list_free

SECTOR = 512
START = 4096


def write_fat(folder: Path, bits: int, used: set[int], clusters: int) -> tuple[Path, Partition]:
    """A file system with clusters of two sectors, of which some are in use."""
    entry = bits // 8
    table = -(-(clusters + 2) * entry // SECTOR)
    root_entries = 512 if bits == 16 else 0
    data = 4 + 2 * table + root_entries * 32 // SECTOR
    total = data + 2 * clusters
    boot = bytearray(SECTOR)
    struct.pack_into("<HBHBH", boot, 11, SECTOR, 2, 4, 2, root_entries)
    struct.pack_into("<I", boot, 32, total)
    struct.pack_into("<H" if bits == 16 else "<I", boot, 22 if bits == 16 else 36, table)
    name = f"FAT{bits}   ".encode()
    offset = 54 if bits == 16 else 82
    boot[offset : offset + 8] = name
    entries = [0x0FFFFFF8 if number < 2 or number in used else 0xF0000000 for number in range(clusters + 2)]
    entries = [number & (0xFFFF if bits == 16 else 0xFFFFFFFF) for number in entries]
    raw = folder / "disk.raw"
    with raw.open("wb") as stream:
        stream.truncate(START + total * SECTOR)
        stream.seek(START)
        stream.write(boot)
        stream.seek(START + 4 * SECTOR)
        stream.write(struct.pack(f"<{len(entries)}{'H' if bits == 16 else 'I'}", *entries))
    return raw, Partition("ESP", "X", START, total * SECTOR, 1)


@pytest.mark.parametrize(("bits", "clusters"), [(16, 5000), (32, 70000)])
def test_free_clusters_are_where_the_table_says(tmp_path: Path, bits: int, clusters: int) -> None:
    last = clusters + 1
    raw, partition = write_fat(tmp_path, bits, {2, 3, 5}, clusters)
    assert is_fat(raw, partition)
    end = partition.start + partition.size
    first = end - clusters * 2 * SECTOR

    def at(number: int) -> int:
        return first + (number - 2) * 2 * SECTOR

    assert list(list_free(raw, partition)) == [(at(4), at(5)), (at(6), end)]
    assert at(last + 1) == end


def test_a_full_file_system_has_no_free_clusters(tmp_path: Path) -> None:
    raw, partition = write_fat(tmp_path, 16, set(range(2, 5002)), 5000)
    assert list(list_free(raw, partition)) == []


def test_other_partitions_are_not_fat(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(8192))
    assert not is_fat(raw, Partition("x", "X", 0, 8192, 1))
