"""A full disk is named as such, whatever met it first, and counts as no failure of the image."""

from pathlib import Path

import pytest

from bakery.bake import space
from bakery.bake.space import explain_full_disk
from bakery.host import files
from bakery.host.errors import BakeryError, DiskError
from bakery.host.process import ProcessError
from doubles.packer import PackerProject, define, make_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackerProject:
    return make_world(tmp_path, monkeypatch)


def raise_behind(world: PackerProject, error: BakeryError) -> BakeryError:
    """The error that a bake ends with if this one is raised in it."""
    with pytest.raises(BakeryError) as caught, explain_full_disk(world.job(define())):
        raise error
    return caught.value


@pytest.mark.parametrize(
    "error", [BakeryError("broken"), DiskError("the log cannot be written"), ProcessError("sh failed", 1, "")]
)
def test_a_full_disk_is_the_cause(world: PackerProject, monkeypatch: pytest.MonkeyPatch, error: BakeryError) -> None:
    monkeypatch.setattr(space, "HEADROOM", 300 << 20)
    monkeypatch.setattr(files, "find_free_space", lambda _: 3 << 20)
    error.log = Path("bake.log")
    full = raise_behind(world, error)
    assert isinstance(full, DiskError)
    assert full.message == "the disk filled up during the bake"
    assert full.detail.startswith("3 MiB are free, and the bake of web needs 300 MiB")
    assert full.where == str(world.job(define()).scratch.parent)
    assert (full.log, full.__cause__) == (error.log, error)


@pytest.mark.parametrize("text", ["No space left on device", "Disk quota exceeded"])
def test_a_program_that_freed_its_half_of_a_disk_is_believed(world: PackerProject, text: str) -> None:
    tail = f"qemu-img: error while writing at byte 0: {text}"
    assert isinstance(raise_behind(world, ProcessError("qemu-img failed with exit code 1", 1, tail)), DiskError)


def test_other_errors_stay(world: PackerProject) -> None:
    """The file system of the image may be full."""
    for error in (BakeryError("task failed", detail="No space left on device"), ProcessError("sh failed", 1, "no")):
        assert raise_behind(world, error) is error
