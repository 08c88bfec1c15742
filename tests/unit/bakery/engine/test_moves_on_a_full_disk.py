"""A disk that is full in the middle of a line leaves no cut line in a journal: the line is there, or it is not."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.catalog import Catalog, Record
from bakery.catalog.store import FolderStore
from bakery.engine import channels
from bakery.host.errors import BakeryError
from bakery.model.documents import ImageLocation, Location, Publication
from bakery.signing import Keyring
from doubles.channels import DictTarget, open_channel

PLACES = [Location("123456789012", f"region-{number}") for number in range(3)]
STEP = 97  # bytes between two limits


@contextmanager
def _limit(size: int) -> Iterator[None]:
    """Have the kernel refuse every byte of a file after `size`, as a full disk does: it writes those before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _add_version(catalog: Catalog) -> Record:
    reserved = catalog.reserve("web", "x86_64", "1.0", "key", {}, "builder", "bake-private")
    locations = tuple(ImageLocation(*place, f"{place.region}-{reserved.version}") for place in PLACES)
    publication = Publication("web", "x86_64", reserved.version, "0" * 64, "aws", locations)
    return catalog.revise(replace(reserved, state="complete", publications=(publication,)))


def _largest(root: Path) -> int:
    return max(path.stat().st_size for path in root.rglob("*.json"))


def test_the_kernel_cuts_a_file_at_the_limit(tmp_path: Path) -> None:
    """Without this, the test below would show nothing."""
    path = tmp_path / "file"
    with pytest.raises(OSError, match="File too large"), _limit(10), path.open("wb", buffering=0) as stream:
        stream.write(b"123456")
        stream.write(b"123456")
        stream.write(b"123456")
    assert path.stat().st_size == 10


@pytest.mark.parametrize("moment", ["before the move", "while pointers move"])
def test_a_move_that_a_full_disk_cuts_anywhere_is_finished_by_the_next_run(tmp_path: Path, moment: str) -> None:
    root, limits = tmp_path / "catalog", ExitStack()
    sizes: list[int] = []  # of the disk that the next write of a pointer fills

    def fill() -> None:
        if sizes:
            limits.enter_context(_limit(sizes.pop()))

    catalog, target = Catalog(FolderStore(root), Keyring(tmp_path / "keys", {})), DictTarget(PLACES, fill)
    channel = open_channel(catalog, {"aws": target})
    versions = [_add_version(catalog) for _ in range(2)]
    channels.promote(channel, versions[1], "", is_new=True)
    failures = unfinished = 0
    for number, size in enumerate(range(0, _largest(root) + STEP, STEP)):
        sizes.append(size)
        with limits:
            if moment == "before the move":
                fill()
            try:
                channels.promote(channel, versions[number % 2], "")
            except BakeryError as error:
                failures += 1
                assert "File too large" in f"{error.message} {error.detail}"
        # Every document can be read, and the temporary files are gone.
        assert [path for path in root.rglob("*") if path.name.startswith(".")] == []
        catalog.history("web", "x86_64", "stable")
        if channel.unfinished_move:
            unfinished += 1
        else:
            assert _pointed_versions(target) == {channel.head.version if channel.head else ""}
    assert failures
    assert bool(unfinished) == (moment == "while pointers move")
    sizes.clear()
    channels.promote(channel, versions[0], "")
    assert channel.unfinished_move is None
    assert _pointed_versions(target) == {"1.0.0"}


def _pointed_versions(target: DictTarget) -> set[str]:
    return {value.rpartition("-")[2] for value in target.pointers.values()}
