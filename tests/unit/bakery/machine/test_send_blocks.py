import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from bakery.host.errors import BakeryError
from bakery.machine.raw_disk import DigestedDisk, send_blocks

BLOCK = 4096


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Ten blocks, two of them zeros."""
    path = tmp_path / "disk.raw"
    path.write_bytes(b"".join(bytes([number % 5]) * BLOCK for number in range(10)))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_results_come_in_the_order_of_the_disk(raw: Path) -> None:
    held = threading.Event()

    def send(index: int, block: bytes) -> int:
        if index == 1:
            assert held.wait(10)  # the others overtake it
        held.set()
        return block[0]

    blocks = send_blocks(DigestedDisk(raw, BLOCK), send, sha256=digest(raw), workers=2, window=4)
    assert list(blocks) == [(number, number % 5) for number in range(10) if number % 5]


def test_no_more_blocks_than_the_window_are_in_memory(raw: Path) -> None:
    sent: list[int] = []
    blocks: Any = send_blocks(
        DigestedDisk(raw, BLOCK), lambda index, _: sent.append(index), sha256=digest(raw), workers=1, window=2
    )
    next(blocks)
    assert len(sent) <= 2
    blocks.close()
    assert len(sent) <= 2


def test_another_content_is_refused(raw: Path) -> None:
    blocks = send_blocks(DigestedDisk(raw, BLOCK), lambda index, _: index, sha256="0" * 64, workers=2, window=4)
    with pytest.raises(BakeryError, match="changed since it was baked") as caught:
        list(blocks)
    assert caught.value.detail == f"baked {'0' * 64}\nread  {digest(raw)}"


def test_a_failed_block_ends_it(raw: Path) -> None:
    def send(index: int, _: bytes) -> None:
        if index == 3:
            raise BakeryError("refused")

    with pytest.raises(BakeryError, match="refused"):
        list(send_blocks(DigestedDisk(raw, BLOCK), send, sha256=digest(raw), workers=2, window=2))
