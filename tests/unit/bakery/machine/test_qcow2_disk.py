"""A qcow2 image is read where its bytes are in its file."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.machine.block_list import BLOCK
from bakery.machine.disk_image import qcow2_layout
from bakery.machine.raw_disk import RawDisk
from doubles.programs import Programs

CLUSTER = 65_536
SIZE = 3 * BLOCK + CLUSTER
# Where bytes of the disk begin, and how many clusters they are: within a block, over its end, in the last short one.
PIECES = [(CLUSTER, 2), (BLOCK - CLUSTER, 3), (3 * BLOCK, 1)]


class Image:
    """A file with tables between the pieces of a disk, and qemu-img that knows where these are."""

    def __init__(self, folder: Path, programs: Programs, order: Sequence[int] = (0, 1, 2)) -> None:
        self.path, self.raw = folder / "disk.qcow2", folder / "disk.raw"
        content, file, offsets = bytearray(SIZE), bytearray(b"tables".ljust(CLUSTER)), {}
        for number in order:
            start, clusters = PIECES[number]
            piece = os.urandom(clusters * CLUSTER)
            content[start : start + len(piece)] = piece
            offsets[number] = len(file)
            file += piece + b"more tables".ljust(CLUSTER)
        self.path.write_bytes(file)
        self.raw.write_bytes(content)
        entries: list[dict[str, object]] = []
        end = 0
        for number, (start, clusters) in enumerate(PIECES):
            entries.append({"start": end, "length": start - end, "depth": 0, "zero": True, "data": False})
            data = {"start": start, "length": clusters * CLUSTER, "offset": offsets[number]}
            entries.append({**data, "depth": 0, "zero": False, "data": True})
            end = start + clusters * CLUSTER
        (folder / "map.json").write_text(json.dumps(entries))
        programs.shell("qemu-img", f'[ "$*" = "map -f qcow2 --output=json {self.path}" ] && cat {folder}/map.json')


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(tmp_path / "bin", monkeypatch)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["in order", "in another order"])
def test_blocks_are_those_of_the_raw_disk(tmp_path: Path, programs: Programs, order: Sequence[int]) -> None:
    image = Image(tmp_path, programs, order)
    ours = RawDisk(image.path, BLOCK, qcow2_layout(image.path))
    theirs = RawDisk(image.raw, BLOCK)
    assert list(ours.written_blocks()) == list(theirs.written_blocks())
    assert (ours.size, ours.blocks) == (theirs.size, theirs.blocks)


@pytest.mark.parametrize("change", [{"offset": None}, {"depth": 1}], ids=["compressed", "based on another file"])
def test_bytes_that_are_not_in_the_file_are_an_error(
    tmp_path: Path, programs: Programs, change: dict[str, object]
) -> None:
    image = Image(tmp_path, programs)
    first, piece, *rest = json.loads((tmp_path / "map.json").read_text())
    spoilt = {key: value for key, value in {**piece, **change}.items() if value is not None}
    (tmp_path / "map.json").write_text(json.dumps([first, spoilt, *rest]))
    with pytest.raises(BakeryError, match="does not have all bytes"):
        qcow2_layout(image.path)


def test_a_file_that_became_shorter_is_an_error(tmp_path: Path, programs: Programs) -> None:
    image = Image(tmp_path, programs)
    disk = RawDisk(image.path, BLOCK, qcow2_layout(image.path))
    os.truncate(image.path, image.path.stat().st_size - 2 * CLUSTER)
    with pytest.raises(BakeryError, match="became shorter"):
        list(disk.written_blocks())
