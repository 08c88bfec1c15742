"""Blocks that an upload to AWS sends, and those that differ from the version before."""

import os
import random
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from ideal_cloud import IdealCloud
from release import ENVIRONMENT, describe_artifact, make_definition

from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.target import EarlierDisk
from bakery.host import files
from bakery.host.events import silent
from bakery.machine import disk_image, free_space
from bakery.machine.block_list import BLOCK
from bakery.machine.block_stream import describe_image, digest_disk, open_raw

DISK = 4 << 30  # bytes
FILES = 600  # of up to 1 MiB in the base
ROLE_FILES = 30  # that a role adds; it removes half as many


@dataclass(frozen=True)
class Uploaded:
    """Blocks of a disk: all, those that are not zeros, those that differ from the version before, and those sent."""

    blocks: int
    filled: int
    changed: int
    sent: int
    became_zero: int


def measure(folder: Path) -> dict[str, Uploaded]:
    """The uploads of a disk, of it with one changed file, and of that with the files of one more role."""
    raw = folder / "disk.raw"
    noise = random.Random(1)  # noqa: S311 - the same disk in each run
    start = _make_disk(folder, raw, noise)
    definition = make_definition(1, 1)
    variable = {"file-7": noise.randbytes(400)}
    role = {f"role-{number}": noise.randbytes(noise.randrange(1 << 20)) for number in range(ROLE_FILES)}
    steps: dict[str, tuple[Mapping[str, bytes], list[str]]] = {
        "full": ({}, []),
        "one variable changed": (variable, []),
        "one role added": (role, [f"file-{number}" for number in range(20, 20 + ROLE_FILES // 2)]),
    }
    uploads: dict[str, Uploaded] = {}
    before: Path | None = None
    earlier: EarlierDisk | None = None
    cloud = IdealCloud(0)
    with cloud.in_use(), mock.patch.dict(os.environ, ENVIRONMENT):
        for number, (name, (written, removed)) in enumerate(steps.items()):
            _change_disk(folder, raw, start, written, removed)
            disk = folder / f"{number}.qcow2"
            disk_image.to_qcow2(raw, disk, compress=False)
            content = digest_disk(open_raw(raw))
            described, blocks = describe_image(disk, files.sha256(disk), content), content.blocks
            artifact = describe_artifact(f"1.0.{number}", described)
            calls = cloud.calls["PutSnapshotBlock"]
            publication = AwsTarget(definition).publish(artifact, disk, silent, earlier)
            sent = cloud.calls["PutSnapshotBlock"] - calls
            earlier = EarlierDisk(publication.locations, described.raw_sha256, blocks)
            changed, zeros = _compare(before, raw)
            uploads[name] = Uploaded(DISK // BLOCK, len(blocks.digests), changed, sent, zeros)
            before = folder / f"{number}.raw"
            subprocess.run(["cp", "--sparse=always", raw, before], check=True)
    return uploads


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
