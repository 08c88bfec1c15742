"""EBS snapshots by content: found by the digest of the disk, or uploaded block by block.

An unencrypted snapshot reads zeros where no block was written, so zero blocks are not sent, unless the snapshot of an
earlier version has something else there. In an encrypted one they would read as noise (awslabs/coldsnap, issue 395), so
the finished snapshot is copied to encrypt it.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from botocore.exceptions import ClientError

from bakery.clouds.aws.calls import BLOCK_WORKERS, DENIED, VISIBLE_SECONDS, error_code, explain_errors, watch
from bakery.clouds.aws.clients import EBSClient, EC2Client, Filter, Snapshot
from bakery.clouds.aws.sent_blocks import FILE, UnfinishedUpload, open_log, read_log
from bakery.clouds.aws.tagging import from_aws, specifications, to_aws
from bakery.clouds.phases import ReportProgress
from bakery.clouds.target import EarlierDisk
from bakery.host.errors import BakeryError
from bakery.host.text import count_of
from bakery.host.waiting import wait_until
from bakery.machine.disk_image import qcow2_layout
from bakery.machine.raw_disk import BakedDisk, send_blocks
from bakery.model.documents import Disk, Location
from bakery.model.tags import CONTENT, Tags

BLOCK = 524_288  # bytes; the only block size of the EBS direct API
BLOCKS_PER_GIB = 2048
NO_PARENT = "none"
COMPLETE_SECONDS = 3600.0  # completing takes about a minute, the encrypted copy of a full disk much longer
IDLE_MINUTES = 60  # AWS gives up a snapshot that gets no blocks for so long (StartSnapshot's default)
WINDOW = 4 * BLOCK_WORKERS  # blocks in memory (32 MiB), so that workers never wait for the reader
# StartSnapshot with a parent that is gone, that AWS does not accept, or that the role may not use.
REFUSED = {"ResourceNotFoundException", "ValidationException", *DENIED}


@dataclass(frozen=True)
class Parent:
    """The snapshot of an earlier version, its raw digest, and the SHA-256 by index of its blocks; zeros are absent."""

    id: str
    sha256: str
    blocks: Mapping[int, str]


@dataclass(frozen=True)
class Upload:
    """The upload of a disk with some tags. It begins with the blocks of `parent` if there is one."""

    ec2: EC2Client
    ebs: EBSClient
    tags: Tags
    parent: Parent | None
    report_progress: ReportProgress
    note: Callable[[str], None]

    @property
    def region(self) -> str:
        return str(self.ebs.meta.region_name)


@dataclass(frozen=True)
class _Started:
    """A pending snapshot, and the SHA-256 by index of the blocks that it has from the start; absent ones are zeros.

    `parent` is the ID of its parent, if it has one, and `sent` are the blocks that a killed run sent.
    """

    id: str
    blocks: Mapping[int, str]
    parent: str = NO_PARENT
    sent: frozenset[int] = frozenset()


def find_parent(earlier: EarlierDisk | None, home: Location) -> Parent | None:
    """The snapshot of an earlier disk in a location, if it was there."""
    locations = earlier.locations if earlier else ()
    snapshot = next((location.snapshot for location in locations if location.location == home), "")
    return Parent(snapshot, earlier.sha256, earlier.blocks.digests) if earlier and snapshot else None


def ensure(upload: Upload, disk: Disk, key: str) -> str:
    """The ID of a completed snapshot of `disk`'s content, encrypted with `key` if that is given.

    A snapshot that is still being written is left alone; `remove_unused` runs when the image is registered.
    """
    complete_snapshots = [snapshot for snapshot in find(upload.ec2, upload.tags) if snapshot["State"] == "completed"]
    ready: dict[bool, str] = {snapshot["Encrypted"]: snapshot["SnapshotId"] for snapshot in complete_snapshots}
    if bool(key) in ready:
        return ready[bool(key)]
    plain = ready.get(False) or _upload_disk(upload, disk)
    return _encrypt_snapshot(upload.ec2, plain, upload.tags, key) if key else plain


def find(ec2: EC2Client, tags: Tags) -> list[Snapshot]:
    """The account's snapshots of this version with this content, in any state."""
    filters: list[Filter] = [{"Name": f"tag:{key}", "Values": [tags[key]]} for key in ("Name", CONTENT)]
    with explain_errors("look for snapshots", ec2.meta.region_name):
        pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
        return [snapshot for page in pages for snapshot in page["Snapshots"]]


def by_id(ec2: EC2Client, snapshot: str) -> Snapshot | None:
    """A snapshot, or None; by a filter, since an unknown ID is an error otherwise."""
    with explain_errors(f"describe {snapshot}", ec2.meta.region_name):
        answer = ec2.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": [snapshot]}])
    return next(iter(answer["Snapshots"]), None)


def remove(ec2: EC2Client, snapshot: str) -> None:
    """Delete a snapshot; no error if it is gone."""
    with explain_errors(f"delete {snapshot}", ec2.meta.region_name):
        try:
            ec2.delete_snapshot(SnapshotId=snapshot)
        except ClientError as error:
            if error_code(error) != "InvalidSnapshot.NotFound":
                raise


def remove_unused(ec2: EC2Client, tags: Tags, keep: str) -> None:
    """Remove snapshots of this version that its image does not use: unfinished, or only made to be encrypted."""
    for snapshot in find(ec2, tags):
        if snapshot["SnapshotId"] != keep:
            remove(ec2, snapshot["SnapshotId"])


def _upload_disk(upload: Upload, disk: Disk) -> str:
    """A new snapshot with the content of a disk, or the one that a killed run began with its log beside the disk.

    Nothing stays behind if anything fails.
    """
    path = Path(disk.path)
    raw, log = BakedDisk(disk, BLOCK, qcow2_layout(path)), path.with_name(FILE)
    started = _find_unfinished(upload, log) or _start_snapshot(upload, raw.gib)
    unfinished = UnfinishedUpload(started.id, upload.tags[CONTENT], started.parent, started.sent)
    try:
        with open_log(log, unfinished) as note_sent:
            digests = list(_put_blocks(upload, started, raw, note_sent))
        with explain_errors(f"complete {started.id}", upload.region):
            # Both are about the blocks that were written to this snapshot, whatever it has from its parent.
            upload.ebs.complete_snapshot(
                SnapshotId=started.id,
                ChangedBlocksCount=len(digests),
                Checksum=_encode_digest(hashlib.sha256(b"".join(digests)).digest()),
                ChecksumAlgorithm="SHA256",
                ChecksumAggregationMethod="LINEAR",
            )
        upload.note(f"sent {count_of(len(digests) - len(started.sent), 'block')} of 512 KiB")
        _await_completion(upload.ec2, started.id)
    except BaseException:
        with suppress(BakeryError):  # the first error is the cause; the next run removes the snapshot
            remove(upload.ec2, started.id)
        raise
    return started.id


def _find_unfinished(upload: Upload, log: Path) -> _Started | None:
    """The snapshot that a killed run began to write, if AWS still waits for its blocks."""
    unfinished = read_log(log)
    if not unfinished or unfinished.content != upload.tags[CONTENT]:
        return None
    parent = upload.parent if upload.parent and upload.parent.id == unfinished.parent else None
    snapshot = by_id(upload.ec2, unfinished.snapshot)
    if not snapshot or snapshot["State"] != "pending" or (not parent and unfinished.parent != NO_PARENT):
        return None
    upload.note(f"{unfinished.snapshot} of a killed run has {count_of(len(unfinished.sent), 'block')} already")
    blocks = _list_all(snapshot["VolumeSize"]) if snapshot["Encrypted"] else parent.blocks if parent else {}
    return _Started(unfinished.snapshot, blocks, unfinished.parent, unfinished.sent)


def _start_snapshot(upload: Upload, gib: int) -> _Started:
    """A pending snapshot, based on the parent if AWS lets it be one."""
    # botocore adds a random client token: a call that it repeats starts nothing twice.
    start = partial(
        upload.ebs.start_snapshot,
        VolumeSize=gib,
        Tags=to_aws(upload.tags),
        Description=f"sha256 {upload.tags[CONTENT]}",
        Timeout=IDLE_MINUTES,
    )
    with explain_errors("start a snapshot", upload.region):
        if parent := upload.parent:
            try:
                obstacle = _find_obstacle(upload.ec2, parent, gib)
                if not obstacle:
                    return _Started(start(ParentSnapshotId=parent.id)["SnapshotId"], parent.blocks, parent.id)
            except ClientError as error:
                if error_code(error) not in REFUSED:
                    raise
                obstacle = str(error)
            upload.note(f"the whole disk is sent, as {parent.id} cannot be the parent of its snapshot: {obstacle}")
        answer = start()
    # In an account that encrypts by default, every block is written, zeros too.
    return _Started(answer["SnapshotId"], _list_all(gib) if answer.get("KmsKeyArn") else {})


def _list_all(gib: int) -> dict[int, str]:
    """All blocks of a snapshot, with a digest that none has."""
    return dict.fromkeys(range(gib * BLOCKS_PER_GIB), "")


def _find_obstacle(ec2: EC2Client, parent: Parent, gib: int) -> str:
    """The reason why a snapshot of this account cannot be the parent of an unencrypted one; empty if it can.

    AWS accepts more: this keeps to what was tested.
    """
    answer = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "snapshot-id", "Values": [parent.id]}])
    snapshot = next(iter(answer["Snapshots"]), None)
    if snapshot is None:
        return "it is gone"
    if snapshot["State"] != "completed":
        return f"it is {snapshot['State']}"
    if snapshot["Encrypted"]:
        return "it is encrypted"
    if from_aws(snapshot).get(CONTENT) != parent.sha256:
        return "its tags name another disk"
    return f"it has {snapshot['VolumeSize']} GiB, not {gib}" if snapshot["VolumeSize"] != gib else ""


def _put_blocks(upload: Upload, started: _Started, raw: BakedDisk, note_sent: Callable[[int], None]) -> Iterator[bytes]:
    """Send the blocks that the snapshot lacks; yields the SHA-256 digests of all that differ from its parent, in order.

    `note_sent` is told of each block that AWS has.
    """

    def send(index: int, block: bytes) -> bytes:
        digest = hashlib.sha256(block).digest()
        if index not in started.sent:
            _put_block(upload.ebs, started.id, index, block, digest)
            note_sent(index)
        return digest

    blocks = send_blocks(
        raw,
        send,
        workers=BLOCK_WORKERS,
        window=WINDOW,
        earlier=started.blocks,
    )
    for index, digest in blocks:
        yield digest
        upload.report_progress(min(1.0, index / raw.blocks))


def _put_block(ebs: EBSClient, snapshot: str, index: int, block: bytes, digest: bytes) -> None:
    def put() -> bool | None:
        try:
            ebs.put_snapshot_block(
                SnapshotId=snapshot,
                BlockIndex=index,
                BlockData=block,
                DataLength=BLOCK,
                Checksum=_encode_digest(digest),
                ChecksumAlgorithm="SHA256",
            )
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        return True

    with explain_errors(f"write block {index} of {snapshot}", ebs.meta.region_name):
        answer = wait_until(put, VISIBLE_SECONDS)
    if answer is None:
        raise BakeryError(
            f"{snapshot} was deleted while it was being written",
            where=ebs.meta.region_name,
            hint="another run may have published this version meanwhile: run again to adopt its image",
        )


def _encrypt_snapshot(ec2: EC2Client, plain: str, tags: Tags, key: str) -> str:
    with explain_errors(f"encrypt {plain} with {key}", ec2.meta.region_name):
        snapshot: str = ec2.copy_snapshot(
            SourceRegion=ec2.meta.region_name,
            SourceSnapshotId=plain,
            Encrypted=True,
            KmsKeyId=key,
            Description=f"sha256 {tags[CONTENT]}",
            TagSpecifications=specifications(tags, "snapshot"),
        )["SnapshotId"]
    _await_completion(ec2, snapshot)
    return snapshot


def _await_completion(ec2: EC2Client, snapshot: str) -> None:
    latest = watch(lambda: by_id(ec2, snapshot), moving={"pending"}, limit=COMPLETE_SECONDS)
    if latest is None or latest["State"] != "completed":
        state = latest.get("StateMessage") or f"it is {latest['State']}" if latest else "it is gone"
        raise BakeryError(
            f"{snapshot} did not complete",
            where=ec2.meta.region_name,
            detail=state,
            hint="run again: it adopts a snapshot that another run made meanwhile, or makes a new one",
        )


def _encode_digest(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
