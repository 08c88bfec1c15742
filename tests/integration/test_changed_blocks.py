"""Uploads to the strict AWS stand-in that begin with the snapshot of an earlier version."""

import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds.aws import snapshots
from bakery.clouds.aws.sent_blocks import FILE, read_log
from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.definitions import Definition
from bakery.clouds.target import EarlierDisk
from bakery.host import process
from bakery.host.events import Event
from bakery.machine.block_stream import digest_disk, open_raw
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base
from doubles.artifacts import artifact_of
from doubles.aws.client import BLOCK_SIZE, HOME_REGION, StandIn, point_environment
from doubles.disks import describe_disk

pytestmark = pytest.mark.integration

SIZE = 40  # blocks


def fill(changed: dict[int, int], *zeros: int) -> dict[int, int]:
    """What 20 blocks and the `changed` ones hold: the seed of their noise. Blocks of `zeros` hold nothing."""
    blocks = dict.fromkeys(range(20), 0) | changed
    return {index: seed for index, seed in blocks.items() if index not in zeros}


# Of 1.0.0, 1.0.1 and 1.0.2, and the blocks that differ from the version before.
VERSIONS = (fill({}), fill({3: 1, 30: 1}, 4, 19), fill({3: 1, 19: 2, 39: 2}, 4))
CHANGED = (range(20), {3, 4, 19, 30}, {19, 30, 39})


@dataclass(frozen=True)
class Version:
    artifact: Artifact
    earlier: EarlierDisk  # without locations


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Version]:
    folder = tmp_path_factory.mktemp("disks")
    return [write_version(folder / str(number), number, blocks) for number, blocks in enumerate(VERSIONS)]


def write_version(folder: Path, number: int, blocks: dict[int, int]) -> Version:
    folder.mkdir()
    raw, disk = folder / "disk.raw", folder / "disk.qcow2"
    with raw.open("wb") as stream:
        stream.truncate(SIZE * BLOCK_SIZE - 512)
        for index, seed in blocks.items():
            stream.seek(index * BLOCK_SIZE)
            stream.write(random.Random(seed * SIZE + index).randbytes(BLOCK_SIZE - 512))  # noqa: S311 - noise
    process.run(["qemu-img", "convert", "-O", "qcow2", raw, disk])
    artifact = artifact_of(describe_disk(disk)[0], Base("debian", "", "d" * 64), "web", f"1.0.{number}")
    digest = digest_disk(open_raw(raw))
    return Version(artifact, EarlierDisk((), digest.sha256, digest.blocks))


def define() -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("aws",),
            "distribution": {"aws": {"regions": (HOME_REGION,)}},
        }
    )


class Uploads:
    """Publishes versions, and counts the blocks of each."""

    def __init__(self, aws: StandIn) -> None:
        self.aws = aws
        self.definition = define()
        self.notes: list[str] = []

    def publish(
        self, version: Version, earlier: EarlierDisk | None, report: Callable[[Event], None] = lambda _: None
    ) -> tuple[EarlierDisk, int]:
        """The version's disk at AWS, and the number of blocks that were sent."""
        self.notes = []

        def hear(event: Event) -> None:
            report(event)
            if event.kind == "note":
                self.notes.append(event.text)

        before = self.aws.actions().count("PutSnapshotBlock")
        target = AwsTarget(self.definition)
        publication = target.publish(version.artifact, Path(version.artifact.disk.path), hear, earlier)
        sent = self.aws.actions().count("PutSnapshotBlock") - before
        return replace(version.earlier, locations=publication.locations), sent

    def read(self, disk: EarlierDisk) -> bytes:
        """All bytes of the snapshot, on which no other one of the version is left."""
        ebs, [location] = self.aws.client("ebs"), disk.locations
        content = bytearray(SIZE * BLOCK_SIZE)
        for block in ebs.list_snapshot_blocks(SnapshotId=location.snapshot)["Blocks"]:
            answer = ebs.get_snapshot_block(SnapshotId=location.snapshot, **block)
            start = block["BlockIndex"] * BLOCK_SIZE
            content[start : start + BLOCK_SIZE] = answer["BlockData"].read()
        return bytes(content[: SIZE * BLOCK_SIZE - 512])

    def delete(self, disk: EarlierDisk) -> None:
        ec2, [location] = self.aws.client("ec2"), disk.locations
        ec2.deregister_image(ImageId=location.id)
        ec2.delete_snapshot(SnapshotId=location.snapshot)

    def pending(self) -> list[str]:
        snapshots_there = self.aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return [snapshot["SnapshotId"] for snapshot in snapshots_there if snapshot["State"] == "pending"]


@pytest.fixture
def uploads(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    aws.reset()
    point_environment(aws, monkeypatch)
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    return Uploads(aws)


def content(version: Version) -> bytes:
    return Path(version.artifact.disk.path).with_name("disk.raw").read_bytes()


def test_what_differs_is_sent_and_what_became_zero(uploads: Uploads, versions: list[Version]) -> None:
    disks: list[EarlierDisk] = []
    for version, changed in zip(versions, CHANGED, strict=True):
        disk, sent = uploads.publish(version, disks[-1] if disks else None)
        assert sent == len(changed)
        assert uploads.read(disk) == content(version)
        disks.append(disk)
    uploads.delete(disks[0])
    uploads.delete(disks[1])
    assert uploads.read(disks[2]) == content(versions[2])


def test_an_equal_disk_sends_nothing(uploads: Uploads, versions: list[Version]) -> None:
    first, _ = uploads.publish(versions[0], None)
    artifact = replace(versions[0].artifact, version="1.0.7")
    disk, sent = uploads.publish(replace(versions[0], artifact=artifact), first)
    assert sent == 0
    assert uploads.read(disk) == content(versions[0])


def test_a_parent_that_is_deleted_during_the_upload_is_not_missed(uploads: Uploads, versions: list[Version]) -> None:
    first, _ = uploads.publish(versions[0], None)

    deleted: list[EarlierDisk] = []

    def delete_once(event: Event) -> None:
        if event.kind == "progress" and event.text.startswith("upload the disk") and not deleted:
            uploads.delete(first)
            deleted.append(first)

    disk, sent = uploads.publish(versions[1], first, delete_once)
    assert deleted and sent == len(CHANGED[1])
    assert uploads.read(disk) == content(versions[1])


def gone(uploads: Uploads, first: EarlierDisk) -> EarlierDisk:
    uploads.delete(first)
    return first


def still_pending(uploads: Uploads, first: EarlierDisk) -> EarlierDisk:
    snapshot = uploads.aws.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"]
    return replace(first, locations=(replace(first.locations[0], snapshot=snapshot),))


def of_another_size(uploads: Uploads, first: EarlierDisk) -> EarlierDisk:
    return copy(uploads, first, VolumeSize=2)


def of_other_tags(uploads: Uploads, first: EarlierDisk) -> EarlierDisk:
    return replace(first, sha256="0" * 64)


def copy(uploads: Uploads, first: EarlierDisk, **start: Any) -> EarlierDisk:
    """A snapshot with the tags of the first one, and no block."""
    ebs, ec2 = uploads.aws.client("ebs"), uploads.aws.client("ec2")
    tags = [{"Key": "bakery:raw-sha256", "Value": first.sha256}]
    snapshot = ebs.start_snapshot(Tags=tags, **start)["SnapshotId"]
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=0)
    while ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "pending":
        pass
    return replace(first, locations=(replace(first.locations[0], snapshot=snapshot),))


def encrypted(uploads: Uploads, first: EarlierDisk) -> EarlierDisk:
    return copy(uploads, first, VolumeSize=1, Encrypted=True)


def denied(uploads: Uploads, first: EarlierDisk) -> EarlierDisk:
    uploads.aws.fault("ebs", "StartSnapshot", error="AccessDeniedException", status=403)
    return first


def gone_a_moment_later(uploads: Uploads, first: EarlierDisk) -> EarlierDisk:
    uploads.aws.fault("ebs", "StartSnapshot", error="ResourceNotFoundException", status=404)
    return first


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (gone, "it is gone"),
        (still_pending, "it is pending"),
        (of_another_size, "it has 2 GiB, not 1"),
        (encrypted, "it is encrypted"),
        (of_other_tags, "its tags name another disk"),
        (denied, "AccessDeniedException"),
        (gone_a_moment_later, "ResourceNotFoundException"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_parent_that_cannot_be_used_is_named_and_all_is_sent(
    uploads: Uploads,
    versions: list[Version],
    spoil: Callable[[Uploads, EarlierDisk], EarlierDisk],
    reason: str,
) -> None:
    first, _ = uploads.publish(versions[0], None)
    disk, sent = uploads.publish(versions[1], spoil(uploads, first))
    assert sent == len(VERSIONS[1])
    assert uploads.read(disk) == content(versions[1])
    [note] = [note for note in uploads.notes if "the whole disk is sent" in note]
    assert reason in note


def test_other_errors_end_the_upload(uploads: Uploads, versions: list[Version]) -> None:
    first, _ = uploads.publish(versions[0], None)
    uploads.aws.fault("ebs", "StartSnapshot", error="ServiceQuotaExceededException", status=402, times=100)
    with pytest.raises(Exception, match="cannot start a snapshot"):
        uploads.publish(versions[1], first)


def kill(uploads: Uploads, version: Version, first: EarlierDisk) -> str:
    """Kill an upload when AWS has confirmed some of its blocks but one; the snapshot that it began."""
    aws, log = uploads.aws, Path(version.artifact.disk.path).with_name(FILE)
    aws.fault("ebs", "PutSnapshotBlock", kind="slow", seconds=600, times=1)
    child = multiprocessing.get_context("fork").Process(target=lambda: uploads.publish(version, first))
    child.start()
    while not (begun := read_log(log)) or len(begun.sent) < len(CHANGED[1]) - 1:
        assert child.is_alive(), "it ended before it could be killed"
    child.kill()
    child.join()
    aws.control("DELETE", "faults")
    [half] = uploads.pending()
    assert half == begun.snapshot
    return half


def test_a_killed_upload_goes_on(uploads: Uploads, versions: list[Version]) -> None:
    first, _ = uploads.publish(versions[0], None)
    half = kill(uploads, versions[1], first)
    disk, sent = uploads.publish(versions[1], first)
    assert (sent, disk.locations[0].snapshot) == (1, half)
    assert f"{half} of a killed run has 3 blocks already" in uploads.notes
    assert uploads.read(disk) == content(versions[1])
    assert not uploads.pending()
    assert not Path(versions[1].artifact.disk.path).with_name(FILE).exists()


@pytest.mark.parametrize("spoiled", ["snapshot", "parent", "log"])
def test_a_killed_upload_that_cannot_go_on_is_made_again(
    uploads: Uploads, versions: list[Version], spoiled: str
) -> None:
    """AWS has removed its snapshot, its parent is another one than before, or its log is damaged."""
    first, _ = uploads.publish(versions[0], None)
    half = kill(uploads, versions[1], first)
    if spoiled == "snapshot":
        uploads.aws.client("ec2").delete_snapshot(SnapshotId=half)
    if spoiled == "log":
        Path(versions[1].artifact.disk.path).with_name(FILE).write_text(f"{half}\n")
    disk, sent = uploads.publish(versions[1], None if spoiled == "parent" else first)
    assert sent == len(VERSIONS[1] if spoiled == "parent" else CHANGED[1])
    assert disk.locations[0].snapshot != half
    assert uploads.read(disk) == content(versions[1])
    assert not uploads.pending()


def test_an_account_that_encrypts_by_default_gets_every_block(
    uploads: Uploads, versions: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a volume that has no more blocks than the disk: a GiB of them takes a minute here."""
    first, _ = uploads.publish(versions[0], None)
    uploads.aws.client("ec2").enable_ebs_encryption_by_default()
    monkeypatch.setattr(snapshots, "BLOCKS_PER_GIB", SIZE)
    disk, sent = uploads.publish(versions[1], first)
    assert sent == SIZE, uploads.notes
    listed = uploads.aws.client("ebs").list_snapshot_blocks(SnapshotId=disk.locations[0].snapshot)["Blocks"]
    assert [block["BlockIndex"] for block in listed] == [*range(SIZE)]
    assert uploads.read(disk) == content(versions[1])
    assert any("encryption is the default" in note for note in uploads.notes)
