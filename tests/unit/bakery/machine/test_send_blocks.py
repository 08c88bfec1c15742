import threading
from pathlib import Path
from typing import Any

import pytest

from bakery.host.errors import BakeryError
from bakery.machine.block_stream import list_blocks, open_raw
from bakery.machine.raw_disk import BakedDisk, send_blocks
from bakery.model.documents import Disk

BLOCK = 524_288


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Ten blocks, two of them zeros."""
    path = tmp_path / "disk.raw"
    path.write_bytes(b"".join(bytes([number % 5]) * BLOCK for number in range(10)))
    return path


def open_baked(raw: Path, blocks: str = "", size: int = 0) -> BakedDisk:
    """The disk, as a bake described it; `blocks` and `size` stand for what it does not have any more."""
    found = open_raw(raw)
    return BakedDisk(Disk(str(raw), "qcow2", size or found.size, "", "", blocks or list_blocks(found).sha256), BLOCK)


def test_results_come_in_the_order_of_the_disk(raw: Path) -> None:
    held = threading.Event()

    def send(index: int, block: bytes) -> int:
        if index == 1:
            assert held.wait(10)  # the others overtake it
        held.set()
        return block[0]

    blocks = send_blocks(open_baked(raw), send, workers=2, window=4)
    assert list(blocks) == [(number, number % 5) for number in range(10) if number % 5]


def test_no_more_blocks_than_the_window_are_in_memory(raw: Path) -> None:
    sent: list[int] = []
    blocks: Any = send_blocks(open_baked(raw), lambda index, _: sent.append(index), workers=1, window=2)
    next(blocks)
    assert len(sent) <= 2
    blocks.close()
    assert len(sent) <= 2


@pytest.mark.parametrize(("blocks", "size"), [("0" * 64, 0), ("", 11 * BLOCK)], ids=["other blocks", "another size"])
def test_another_disk_is_refused(raw: Path, blocks: str, size: int) -> None:
    found = list_blocks(open_raw(raw)).sha256
    with pytest.raises(BakeryError, match="changed since it was baked") as caught:
        list(send_blocks(open_baked(raw, blocks, size), lambda index, _: index, workers=2, window=4))
    baked = f"baked {blocks or found}, {size or 10 * BLOCK} bytes"
    assert caught.value.detail == f"{baked}\nread  {found}, {10 * BLOCK} bytes"


@pytest.mark.parametrize("block", [BLOCK, 8 * BLOCK])
def test_the_size_of_a_read_makes_no_difference(raw: Path, block: int) -> None:
    """Azure takes larger ranges than AWS, whose blocks are those of the list."""
    with raw.open("r+b") as file:
        file.truncate(10 * BLOCK + 7)
        file.seek(10 * BLOCK)
        file.write(b"the end")
    baked = Disk(str(raw), "qcow2", 10 * BLOCK + 7, "", "", list_blocks(open_raw(raw)).sha256)
    assert list(send_blocks(BakedDisk(baked, block), lambda index, _: index, workers=2, window=4))


def test_a_failed_block_ends_it(raw: Path) -> None:
    def send(index: int, _: bytes) -> None:
        if index == 3:
            raise BakeryError("refused")

    with pytest.raises(BakeryError, match="refused"):
        list(send_blocks(open_baked(raw), send, workers=2, window=2))
