"""Blocks that an upload to AWS sends, those that differ from the version before, and those that coldsnap sends.

The stand-in for AWS counts them; it takes blocks of one size only. coldsnap compares no disks: an earlier snapshot is
its parent by name, and it sends a disk again. Its snapshots without blocks of zeros are read back, since a parent's
blocks show where it leaves some out.
"""

import os
import random
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import coldsnap
import stand_ins
from release import describe_artifact, make_definition

from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.target import EarlierDisk
from bakery.host import files
from bakery.host.events import silent
from bakery.machine import disk_image, free_space
from bakery.machine.block_list import BLOCK
from bakery.machine.block_stream import DiskDigest, describe_image, digest_disk, open_raw

PUT = "PutSnapshotBlock"
DISK = 4 << 30  # bytes
FILES = 600  # of up to 1 MiB in the base
ROLE_FILES = 30  # that a role adds; it removes half as many
OMIT = "--omit-zero-blocks"


@dataclass(frozen=True)
class Rival:
    """Blocks that coldsnap sent, and those of its snapshot that differ from the disk."""

    sent: int
    wrong: int


@dataclass(frozen=True)
class Uploaded:
    """Blocks of a disk: all, those that are not zeros, those that differ from the version before, and those sent.

    `rivals` are coldsnap's uploads of the same disk, by variant.
    """

    blocks: int
    filled: int
    changed: int
    sent: int
    became_zero: int
    rivals: dict[str, Rival]


@dataclass(frozen=True)
class Uploads:
    """Uploads by name, and the version of coldsnap; empty if it is not installed."""

    coldsnap: str
    uploaded: dict[str, Uploaded]


def measure(folder: Path) -> Uploads:
    """The uploads of a disk, of it with one changed file, and of that with the files of one more role."""
    raw = folder / "disk.raw"
    noise = random.Random(1)  # noqa: S311 - the same disk in each run
    start = _make_disk(folder, raw, noise)
    variable = {"file-7": noise.randbytes(400)}
    role = {f"role-{number}": noise.randbytes(noise.randrange(1 << 20)) for number in range(ROLE_FILES)}
    steps: dict[str, tuple[Mapping[str, bytes], list[str]]] = {
        "full": ({}, []),
        "one variable changed": (variable, []),
        "one role added": (role, [f"file-{number}" for number in range(20, 20 + ROLE_FILES // 2)]),
    }
    uploads: dict[str, Uploaded] = {}
    before: Path | None = None
    rival = coldsnap.find()
    with stand_ins.aws() as url, mock.patch.dict(os.environ, stand_ins.environment(url)):
        ours, theirs = _Ours(url), _Theirs(url, rival)
        for number, (name, (written, removed)) in enumerate(steps.items()):
            _change_disk(folder, raw, start, written, removed)
            disk = folder / f"{number}.qcow2"
            disk_image.to_qcow2(raw, disk)
            content = digest_disk(open_raw(raw))
            sent = ours.upload(disk, content, f"1.0.{number}")
            rivals = theirs.upload(raw, content)
            changed, zeros = _compare(before, raw)
            uploads[name] = Uploaded(DISK // BLOCK, len(content.blocks.digests), changed, sent, zeros, rivals)
            before = folder / f"{number}.raw"
            subprocess.run(["cp", "--sparse=always", raw, before], check=True)
    return Uploads(rival.version if rival else "", uploads)


class _Ours:
    """Publishes one version after another, as the bakery does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._target = AwsTarget(make_definition(1, 1))
        self._earlier: EarlierDisk | None = None

    def upload(self, disk: Path, content: DiskDigest, version: str) -> int:
        """The number of blocks that were sent."""
        described = describe_image(disk, files.sha256(disk), content)
        before = stand_ins.count_calls(self._url, PUT)
        publication = self._target.publish(describe_artifact(version, described), disk, silent, self._earlier)
        self._earlier = EarlierDisk(publication.locations, described.raw_sha256, content.blocks)
        return stand_ins.count_calls(self._url, PUT) - before


class _Theirs:
    """Uploads one disk after another with each variant of coldsnap."""

    def __init__(self, url: str, program: coldsnap.Coldsnap | None) -> None:
        self._url = url
        self._program = program
        self._parent = ""

    def upload(self, raw: Path, content: DiskDigest) -> dict[str, Rival]:
        """What each variant sent; nothing without coldsnap."""
        if not self._program:
            return {}
        parent = ("--parent-snapshot-id", self._parent) if self._parent else ()
        variants: dict[str, tuple[str, ...]] = {"": parent, f" {OMIT}": (OMIT,)}
        if parent:
            variants[f" {OMIT} with a parent"] = (OMIT, *parent)
        rivals = {}
        for name, options in variants.items():
            before = stand_ins.count_calls(self._url, PUT)
            snapshot = self._program.upload(self._url, raw, *options)
            sent = stand_ins.count_calls(self._url, PUT) - before
            wrong = 0  # if every block was sent
            if OMIT in options:
                wrong = coldsnap.count_wrong_blocks(self._url, snapshot, content.blocks.digests)
            if options == (OMIT,):
                self._parent = snapshot
            rivals[name] = Rival(sent, wrong)
        return rivals


def _make_disk(folder: Path, raw: Path, noise: random.Random) -> int:
    """An ext4 file system with files of noise on a disk; the byte where its partition begins."""
    tree = folder / "tree"
    tree.mkdir()
    for number in range(FILES):
        (tree / f"file-{number}").write_bytes(noise.randbytes(noise.randrange(1 << 20)))
    with raw.open("wb") as stream:
        stream.truncate(DISK)
    subprocess.run(["sfdisk", "--quiet", raw], input="label: gpt\n,\n", text=True, check=True)
    [partition] = disk_image.partitions(raw)
    options = ("-q", "-t", "ext4", "-d", tree, "-E", f"offset={partition.start},lazy_itable_init=1")
    subprocess.run(["mke2fs", *options, raw, f"{partition.size >> 10}k"], check=True, stderr=subprocess.DEVNULL)
    return partition.start


def _change_disk(folder: Path, raw: Path, start: int, written: Mapping[str, bytes], removed: list[str]) -> None:
    """Write and remove files, and clear what is free then, as a bake does."""
    commands = []
    for name, content in written.items():
        (folder / name).write_bytes(content)
        commands += [f"rm {name}", f"write {folder / name} {name}"]
    commands += [f"rm {name}" for name in removed]
    script = folder / "commands"
    script.write_text("\n".join(commands))
    subprocess.run(["debugfs", "-w", "-f", script, f"{raw}?offset={start}"], check=True, capture_output=True)
    free_space.clear_free_space(raw)


def _compare(before: Path | None, raw: Path) -> tuple[int, int]:
    """How many blocks differ from an earlier disk, or from zeros without one, and how many of these are zeros."""
    changed = zeros = 0
    empty = bytes(BLOCK)
    with raw.open("rb") as after, (before or Path("/dev/zero")).open("rb") as base:
        while block := after.read(BLOCK):
            if block != base.read(BLOCK):
                changed += 1
                zeros += block == empty
    return changed, zeros
