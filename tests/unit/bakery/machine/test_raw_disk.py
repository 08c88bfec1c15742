"""Blocks of sparse files."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.machine.raw_disk import GIB, RawDisk

BLOCK = 524_288
ONES = b"\1" * BLOCK


def _write(path: Path, size: int, parts: dict[int, bytes]) -> RawDisk:
    with path.open("wb") as file:
        for offset, data in parts.items():
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    return RawDisk(path, BLOCK)


def test_holes_and_zeros_are_left_out(tmp_path: Path) -> None:
    disk = _write(tmp_path / "raw", 8 * BLOCK, {BLOCK: ONES, 3 * BLOCK: bytes(BLOCK), 5 * BLOCK + 7: b"x"})
    blocks = dict(disk.written_blocks())
    assert list(blocks) == [1, 5]
    assert blocks[1] == ONES
    assert blocks[5] == bytes(7) + b"x" + bytes(BLOCK - 8)


def test_a_short_last_block_is_filled_up(tmp_path: Path) -> None:
    disk = _write(tmp_path / "raw", BLOCK + 3, {BLOCK: b"end"})
    assert dict(disk.written_blocks()) == {1: b"end" + bytes(BLOCK - 3)}


@pytest.mark.parametrize(("size", "gib"), [(BLOCK, 1), (GIB, 1), (GIB + 512, 2)])
def test_volumes_are_whole_gib(tmp_path: Path, size: int, gib: int) -> None:
    assert _write(tmp_path / "raw", size, {}).gib == gib


@given(st.dictionaries(st.integers(0, 4 * BLOCK), st.binary(max_size=9), max_size=5), st.integers(1, 5 * BLOCK))
def test_any_file(tmp_path_factory: pytest.TempPathFactory, parts: dict[int, bytes], size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.raw"
    disk = _write(path, size, parts)
    content = bytearray(disk.blocks * BLOCK)
    for index, block in disk.written_blocks():
        assert any(block)
        content[index * BLOCK : (index + 1) * BLOCK] = block
    assert content[:size] == path.read_bytes()


def _digests(disk: RawDisk) -> dict[int, str]:
    return {index: hashlib.sha256(block).hexdigest() for index, block in disk.written_blocks()}


def test_blocks_that_differ_are_changed_and_so_are_those_that_became_zero(tmp_path: Path) -> None:
    earlier = _write(tmp_path / "earlier", 9 * BLOCK, {index * BLOCK: ONES for index in (1, 2, 4, 8)})
    disk = _write(tmp_path / "raw", 6 * BLOCK, {BLOCK: ONES, 2 * BLOCK: b"2", 5 * BLOCK: ONES})
    changed = list(disk.changed_blocks(_digests(earlier)))
    assert [index for index, _ in changed] == [2, 4, 5, 8]
    assert [any(block) for _, block in changed] == [True, False, True, False]


BLOCKS = st.dictionaries(st.integers(0, 7), st.sampled_from([bytes(BLOCK), ONES, b"\2" * BLOCK]))


@given(BLOCKS, BLOCKS)
def test_changed_blocks_over_any_earlier_disk_give_the_disk(
    tmp_path_factory: pytest.TempPathFactory, before: dict[int, bytes], after: dict[int, bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    earlier, disk = (
        _write(folder / name, 8 * BLOCK, {index * BLOCK: block for index, block in parts.items()})
        for name, parts in (("before.raw", before), ("after.raw", after))
    )
    changed = list(disk.changed_blocks(_digests(earlier)))
    held = dict(before) | dict(changed)
    assert {index: held.get(index, bytes(BLOCK)) for index in range(8)} == {
        index: after.get(index, bytes(BLOCK)) for index in range(8)
    }
    assert [index for index, _ in changed] == sorted({index for index, _ in changed})
    assert all(before.get(index, bytes(BLOCK)) != block for index, block in changed)
