"""EBS snapshots by content: found by the digest of the disk, or uploaded block by block.

An unencrypted snapshot reads zeros where no block was written, so zero blocks are never sent. In an encrypted one they
would read as noise, so the finished snapshot is copied to encrypt it.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from botocore.exceptions import ClientError

from bakery.clouds.aws.calls import BLOCK_WORKERS, VISIBLE_SECONDS, error_code, explain_errors, watch
from bakery.clouds.aws.clients import EBSClient, EC2Client, Filter, Snapshot
from bakery.clouds.aws.tagging import specifications, to_aws
from bakery.clouds.phases import ReportProgress
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.machine.disk_image import as_raw
from bakery.machine.raw_disk import RawDisk, send_blocks
from bakery.model.tags import CONTENT, Tags

BLOCK = 524_288  # bytes; the only block size of the EBS direct API
COMPLETE_SECONDS = 3600.0  # completing takes about a minute, the encrypted copy of a full disk much longer
IDLE_MINUTES = 60  # AWS gives up a snapshot that gets no blocks for so long (StartSnapshot's default)
WINDOW = 4 * BLOCK_WORKERS  # blocks in memory (32 MiB), so that workers never wait for the reader


def ensure(ec2: EC2Client, ebs: EBSClient, disk: Path, tags: Tags, key: str, report_progress: ReportProgress) -> str:
    """The ID of a completed snapshot of `disk`'s content, encrypted with `key` if that is given.

    A snapshot that is still being written is left alone; `remove_unused` runs when the image is registered.
    """
    complete_snapshots = [snapshot for snapshot in find(ec2, tags) if snapshot["State"] == "completed"]
    ready: dict[bool, str] = {snapshot["Encrypted"]: snapshot["SnapshotId"] for snapshot in complete_snapshots}
    if bool(key) in ready:
        return ready[bool(key)]
    plain = ready.get(False) or _upload_disk(ec2, ebs, disk, tags, report_progress)
    return _encrypt_snapshot(ec2, plain, tags, key) if key else plain


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


def _upload_disk(ec2: EC2Client, ebs: EBSClient, disk: Path, tags: Tags, report_progress: ReportProgress) -> str:
    with as_raw(disk) as raw:
        return upload(ec2, ebs, RawDisk(raw, BLOCK), tags, report_progress)


def upload(ec2: EC2Client, ebs: EBSClient, raw: RawDisk, tags: Tags, report_progress: ReportProgress) -> str:
    """A new snapshot with the blocks of `raw`; nothing stays behind if anything fails."""
    region = ebs.meta.region_name
    with explain_errors("start a snapshot", region):
        # botocore adds a random client token: a call that it repeats starts nothing twice.
        snapshot: str = ebs.start_snapshot(
            VolumeSize=raw.gib,
            Tags=to_aws(tags),
            Description=f"sha256 {tags[CONTENT]}",
            Timeout=IDLE_MINUTES,
        )["SnapshotId"]
    try:
        digests = list(_put_blocks(ebs, snapshot, raw, tags, report_progress))
        with explain_errors(f"complete {snapshot}", region):
            ebs.complete_snapshot(
                SnapshotId=snapshot,
                ChangedBlocksCount=len(digests),
                Checksum=_encode_digest(hashlib.sha256(b"".join(digests)).digest()),
                ChecksumAlgorithm="SHA256",
                ChecksumAggregationMethod="LINEAR",
            )
        _await_completion(ec2, snapshot)
    except BaseException:
        with suppress(BakeryError):  # the first error is the cause; the next run removes the snapshot
            remove(ec2, snapshot)
        raise
    return snapshot


def _put_blocks(
    ebs: EBSClient, snapshot: str, raw: RawDisk, tags: Tags, report_progress: ReportProgress
) -> Iterator[bytes]:
    """Send the blocks; yields their SHA-256 digests in the order of the disk."""
    put = partial(_put_block, ebs, snapshot)
    for index, digest in send_blocks(raw, put, sha256=tags[CONTENT], workers=BLOCK_WORKERS, window=WINDOW):
        yield digest
        report_progress(index / raw.blocks)


def _put_block(ebs: EBSClient, snapshot: str, index: int, block: bytes) -> bytes:
    digest = hashlib.sha256(block).digest()

    def put() -> bytes | None:
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
        return digest

    with explain_errors(f"write block {index} of {snapshot}", ebs.meta.region_name):
        answer = wait_until(put, VISIBLE_SECONDS)
    if answer is None:
        raise BakeryError(
            f"{snapshot} was deleted while it was being written",
            where=ebs.meta.region_name,
            hint="another run may have published this version meanwhile: run again to adopt its image",
        )
    return answer


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
