"""Read the blocks of an image's snapshot through the EBS direct API, each against the checksum that comes with it."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from bakery.clouds.aws import images, snapshots
from bakery.clouds.aws.calls import BLOCK_WORKERS, explain_errors
from bakery.clouds.aws.clients import EBSClient, EC2Client, Filter, Image
from bakery.clouds.aws.session import connect
from bakery.clouds.phases import ReportProgress
from bakery.clouds.read_back import OtherDiskError, ReadRequest
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.waiting import wait_until
from bakery.machine.block_stream import BlockStream, fetch_blocks
from bakery.machine.raw_disk import GIB
from bakery.model.documents import ImageLocation

PAGE = 10_000  # blocks; the most of ListSnapshotBlocks, and 5 GiB of data
# An SDK repeats a call that fails, but not an answer whose body breaks off.
BODY_SECONDS = 2.0  # for a body to arrive intact
BODY_PAUSE = 1.0  # seconds before the next try


@contextmanager
def open_disk(request: ReadRequest) -> Iterator[BlockStream]:
    """The disk behind an AMI, of any owner who shares its snapshot."""
    location = request.location
    account = connect(location.region, request.credentials)
    snapshot = find_snapshot(account.ec2([location.region])[location.region], location)
    yield read_snapshot(account.ebs(location.region), snapshot, request.report_progress)


def find_snapshot(ec2: EC2Client, location: ImageLocation) -> str:
    """The snapshot of an AMI's root device, as AWS says now.

    OtherDiskError if the AMI has another one than the location says, or further volumes: nobody looked at those.
    """
    image = _find_image(ec2, location.id)
    snapshot = images.snapshot_of(image)
    mappings = [device.get("Ebs", {}) for device in image.get("BlockDeviceMappings", ())]
    volumes = [str(ebs["SnapshotId"]) for ebs in mappings if "SnapshotId" in ebs]
    expected = [location.snapshot or snapshot]
    if volumes != expected:
        raise OtherDiskError(
            f"{location.id} has other snapshots than its record",
            where=ec2.meta.region_name,
            detail=f"it has {', '.join(volumes) or 'none'}, expected {', '.join(expected)}",
            hint="do not use this image; find out who registered it",
        )
    return snapshot


def read_snapshot(ebs: EBSClient, snapshot: str, report_progress: ReportProgress) -> BlockStream:
    """The blocks of a snapshot, several fetched at once; BakeryError for the first that cannot be read intact."""
    size, tokens = list_blocks(ebs, snapshot)

    def read_blocks() -> Iterator[tuple[int, bytes]]:
        def fetch(index: int) -> bytes:
            return _read_block(ebs, snapshot, index, tokens[index])

        fetched = fetch_blocks(tokens, fetch, workers=BLOCK_WORKERS, window=snapshots.WINDOW)
        for number, (index, block) in enumerate(fetched, 1):
            yield index, block
            report_progress(number / len(tokens))

    return BlockStream(size, read_blocks())


def list_blocks(ebs: EBSClient, snapshot: str) -> tuple[int, dict[int, str]]:
    """The size of a snapshot's volume in bytes, and the tokens of its blocks by ascending index."""
    tokens: dict[int, str] = {}
    size, page, last = 0, "", -1
    while True:
        with explain_errors(f"list the blocks of {snapshot}", ebs.meta.region_name):
            following: Any = {"NextToken": page} if page else {}
            answer = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=PAGE, **following)
        size = answer["VolumeSize"] * GIB
        for block in answer["Blocks"]:
            index = block["BlockIndex"]
            if answer["BlockSize"] != snapshots.BLOCK or not last < index < size // snapshots.BLOCK:
                raise _damaged_error(ebs, snapshot, f"block {index} of {answer['BlockSize']} bytes after block {last}")
            tokens[index], last = block["BlockToken"], index
        next_page = answer.get("NextToken", "")
        if not next_page:
            return size, tokens
        if next_page == page:
            raise _damaged_error(ebs, snapshot, f"the list does not end after block {last}")
        page = next_page


def _read_block(ebs: EBSClient, snapshot: str, index: int, token: str) -> bytes:
    """The bytes of a block; a body that breaks off or does not match its checksum is asked for again."""
    where = f"block {index} of {snapshot}, at byte {index * snapshots.BLOCK}"

    def ask() -> bytes | None:
        with explain_errors(f"read {where}", ebs.meta.region_name):
            answer = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=token)
        try:
            block = answer["BlockData"].read()
        except (BotoCoreError, HTTPError):
            return None
        checksum = base64.b64encode(hashlib.sha256(block).digest()).decode()
        return block if len(block) == snapshots.BLOCK and checksum == answer["Checksum"] else None

    block = wait_until(ask, BODY_SECONDS, BODY_PAUSE)
    if block is None:
        raise _damaged_error(ebs, snapshot, f"{where} does not arrive complete, with its checksum")
    return block


def _find_image(ec2: EC2Client, image_id: str) -> Image:
    """An image of any owner; NotFoundError if these credentials see none."""
    with explain_errors(f"look for {image_id}", ec2.meta.region_name):
        filters: list[Filter] = [{"Name": "image-id", "Values": [image_id]}]
        answer = ec2.describe_images(Filters=filters, IncludeDisabled=True, IncludeDeprecated=True)
    if not answer["Images"]:
        raise NotFoundError(f"there is no image {image_id}", where=ec2.meta.region_name)
    image: Image = answer["Images"][0]
    return image


def _damaged_error(ebs: EBSClient, snapshot: str, detail: str) -> BakeryError:
    return BakeryError(
        f"{snapshot} cannot be read intact",
        where=ebs.meta.region_name,
        detail=detail,
        hint="run again: the network or a proxy may have damaged the answer",
    )
