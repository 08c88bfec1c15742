import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.machine import free_space
from bakery.machine.disk_image import Partition
from bakery.machine.free_space import Extent, clear_free_space, find_remains, is_blank, is_known
from doubles.programs import Programs

MIB = 1 << 20
DISK = Partition("x", "X", MIB, 2 * MIB, 1)
# The lines of dumpe2fs that matter, and some that look like them: blocks 10, 100 to 199 and 300 to 511 of 4 KiB.
GROUPS = """\
Free blocks:              313
Group 0: (Blocks 0-255)
  101 free blocks, 2030 free inodes, 6 directories
  Free blocks: 10, 100-199
  Free inodes: 19-2048
Group 1: (Blocks 256-511)
  Free blocks: 300-511
Group 2: (Blocks 512-512)
  Free blocks:\u0020
"""
Write = Callable[[dict[int, bytes]], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a disk of 4 MiB with one partition, and bytes by their offset in it."""
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.shell("dumpe2fs", f"cat <<'END'\n{GROUPS}END")
    entry = {"node": "disk.raw1", "start": DISK.start // 512, "size": DISK.size // 512, "type": "X", "name": "x"}
    table = {"device": "disk.raw", "sectorsize": 512, "partitions": [entry]}
    programs.shell("sfdisk", f"echo '{json.dumps({'partitiontable': table})}'")

    def write_disk(content: dict[int, bytes]) -> Path:
        raw = tmp_path / "disk.raw"
        with raw.open("wb") as stream:
            stream.truncate(4 * MIB)
            for offset, text in content.items():
                stream.seek(DISK.start + offset)
                stream.write(text)
        return raw

    return write_disk


def ext(features: int = 0) -> dict[int, bytes]:
    """A superblock with blocks of 4 KiB."""
    number = (2).to_bytes(4, "little")
    return {1024 + 24: number, 1024 + 56: b"\x53\xef", 1024 + 96: features.to_bytes(4, "little")}


def at(*blocks: int) -> list[Extent]:
    return [Extent(DISK.start + 4096 * block, DISK.start + 4096 * (block + 1)) for block in blocks]


def test_only_content_of_free_blocks_is_found(write: Write) -> None:
    used = {4096 * block: b"used" for block in (9, 11, 99, 200, 299)}
    free = {4096 * 10 + 4095: b"x", 4096 * 199: b"x", 4096 * 300: b"x", 4096 * 511: b"x", 4096 * 150: bytes(4096)}
    raw = write({**ext(), **used, **free})
    assert list(find_remains(raw, DISK)) == at(10, 199, 300, 511)
    assert is_known(raw, DISK)


def test_only_free_blocks_are_cleared(write: Write) -> None:
    raw = write({**ext(), 4096 * 99: b"u" * 4096, 4096 * 100: b"f" * 8192, 4096 * 200: b"u" * 4096})
    before = raw.read_bytes()
    assert clear_free_space(raw) == 8192
    after = raw.read_bytes()
    assert list(find_remains(raw, DISK)) == []
    start = DISK.start + 4096 * 100
    assert after == before[:start] + bytes(8192) + before[start + 8192 :]


def test_a_file_system_that_was_not_unmounted_is_left_alone(write: Write) -> None:
    """Its journal may have blocks that the bitmap has as free."""
    raw = write({**ext(features=0x46), 4096 * 100: b"x"})
    assert clear_free_space(raw) == 0
    assert list(find_remains(raw, DISK)) == []
    assert not is_known(raw, DISK)
    assert not is_blank(raw, DISK)


def test_a_node_of_extents_is_no_content(write: Write) -> None:
    """Also after its file was removed: the number of entries is 0 then, and the entries are still there."""
    leaf = struct.pack("<HHHHI", 0xF30A, 0, 340, 0, 7) + struct.pack("<IHHI", 0, 32768, 0, 500) * 30
    index = struct.pack("<HHHHI", 0xF30A, 1, 340, 1, 7) + struct.pack("<IIHH", 0, 300, 0, 0)
    hidden = leaf.ljust(2000, b"\0") + b"old content behind the entries"
    beyond = leaf + struct.pack("<IHHI", 0, 1, 0, 512)  # a block that the partition does not have
    content = {100: leaf, 101: index, 102: leaf[:12] + b"old content", 110: hidden, 111: index + b"old content"}
    raw = write({**ext(), **{4096 * block: text for block, text in content.items()}, 4096 * 112: beyond})
    assert list(find_remains(raw, DISK)) == at(102, 110, 111, 112)
    assert clear_free_space(raw) == 6 * 4096


def test_swap_space_is_free_but_for_its_header(write: Write) -> None:
    raw = write({0: b"label", 4086: b"SWAPSPACE2", 4096: b"memory", 2 * MIB - 6: b"memory"})
    assert list(find_remains(raw, DISK)) == at(1, 511)
    clear_free_space(raw)
    assert list(find_remains(raw, DISK)) == []
    assert raw.read_bytes()[DISK.start : DISK.start + 5] == b"label"
    assert is_known(raw, DISK)


def test_a_partition_without_a_file_system_is_blank(write: Write) -> None:
    assert is_blank(write({}), DISK)
    raw = write({5000: b"x"})
    assert not is_blank(raw, DISK)
    assert not is_known(raw, DISK)
    assert list(find_remains(raw, DISK)) == []


def test_ranges_meet() -> None:
    free = [Extent(0, 10), Extent(20, 30), Extent(40, 50)]
    data = [(5, 22), (24, 25), (29, 60)]
    assert list(free_space._overlaps(iter(free), iter(data))) == [
        Extent(5, 10),
        Extent(20, 22),
        Extent(24, 25),
        Extent(29, 30),
        Extent(40, 50),
    ]
