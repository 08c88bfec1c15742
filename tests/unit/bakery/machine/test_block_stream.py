"""Digests of a disk that are the same whatever size, format and list of zeros a cloud gives it."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.host.errors import BakeryError
from bakery.machine.block_list import BLOCK, BlockList
from bakery.machine.block_stream import BlockStream, digest_disk, fetch_blocks, open_raw, write_raw

ONE, TWO, ZEROS = b"1" * BLOCK, b"2" * BLOCK, bytes(BLOCK)
END = b"end of an unfinished block"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(ONE + ZEROS + TWO + ZEROS + END)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_list_is_a_text_whose_digest_is_that_of_the_blocks(raw: Path) -> None:
    digest = digest_disk(open_raw(raw))
    lines = f"0:{sha256(ONE)}\n2:{sha256(TWO)}\n4:{sha256(END.ljust(BLOCK, bytes(1)))}\n"
    assert digest.blocks.dump() == lines.encode()
    assert digest.blocks.sha256 == sha256(lines.encode())
    assert (digest.sha256, digest.size) == (sha256(raw.read_bytes()), raw.stat().st_size)


def test_a_rounded_size_and_listed_zeros_change_no_digest(raw: Path) -> None:
    ours = digest_disk(open_raw(raw))
    blocks = {0: ONE, 1: ZEROS, 2: TWO, 4: END.ljust(BLOCK, b"\0"), 9: ZEROS}
    theirs = digest_disk(BlockStream(10 * BLOCK, iter(blocks.items())), ours.size)
    assert theirs == ours


def test_content_behind_the_end_changes_the_digest_of_the_blocks(raw: Path) -> None:
    ours = digest_disk(open_raw(raw))
    blocks = {0: ONE, 2: TWO, 4: END.ljust(BLOCK - 1, b"\0") + b"x"}
    theirs = digest_disk(BlockStream(10 * BLOCK, iter(blocks.items())), ours.size)
    assert theirs.sha256 == ours.sha256 and theirs.blocks.sha256 != ours.blocks.sha256
    further = digest_disk(BlockStream(10 * BLOCK, iter({**blocks, 8: ONE}.items())), ours.size)
    assert further.sha256 == ours.sha256 and list(further.blocks.digests) == [0, 2, 4, 8]


def test_a_raw_file_has_the_same_bytes_and_holes(raw: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.raw"
    assert digest_disk(write_raw(open_raw(raw), copy)) == digest_disk(open_raw(copy))
    assert copy.read_bytes() == raw.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["0:1f\n", f"1:{'a' * 64}\n0:{'a' * 64}\n", f"0:{'a' * 64}", f"00:{'a' * 64}\n", f"0:{'A' * 64}\n", "\xff\n"],
)
def test_another_text_is_no_list(text: str) -> None:
    with pytest.raises(BakeryError, match="not a list of blocks"):
        BlockList.parse(text.encode("latin-1"), "blocks.txt")


def test_a_list_is_read_as_it_was_written(raw: Path) -> None:
    blocks = digest_disk(open_raw(raw)).blocks
    assert BlockList.parse(blocks.dump(), "") == blocks
    assert BlockList.parse(b"", "") == BlockList({})


def test_no_more_blocks_than_the_window_are_fetched_ahead() -> None:
    fetched: list[int] = []

    def fetch(index: int) -> bytes:
        fetched.append(index)
        return bytes([index])

    blocks = fetch_blocks(range(10), fetch, workers=2, window=3)
    assert next(blocks) == (0, b"\0")
    assert len(fetched) <= 3
    assert list(blocks) == [(index, bytes([index])) for index in range(1, 10)]


def test_a_block_that_fails_ends_it() -> None:
    def fetch(index: int) -> bytes:
        if index == 2:
            raise BakeryError("refused")
        return b""

    with pytest.raises(BakeryError, match="refused"):
        list(fetch_blocks(range(10), fetch, workers=2, window=3))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=5000)), max_size=6), st.integers(0, 100_000)
)
def test_digest_of_a_sparse_file_is_that_of_its_content(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], size: int
) -> None:
    raw = tmp_path_factory.mktemp("sparse") / "disk.raw"
    with raw.open("wb") as stream:
        stream.truncate(size)
        for block, data in pieces:
            stream.seek(block * 4096)
            stream.write(data)
    assert digest_disk(open_raw(raw)).sha256 == hashlib.sha256(raw.read_bytes()).hexdigest()
