"""Blocks of a snapshot as they come back from the stand-in, and answers that AWS should never give."""

import base64
import hashlib
import io
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError

from bakery.clouds.aws import read_back
from bakery.clouds.aws.read_back import open_disk, read_snapshot
from bakery.clouds.read_back import ReadRequest
from bakery.host.errors import BakeryError, NotFoundError
from bakery.machine.block_list import BLOCK
from bakery.machine.block_stream import digest_disk, write_raw
from bakery.machine.raw_disk import GIB
from bakery.model.documents import ImageLocation
from doubles.aws.client import (
    HOME_ACCOUNT,
    HOME_REGION,
    ROOT,
    StandIn,
    available,
    point_environment,
    register,
    upload_blocks,
)

CONTENT = {0: b"boot".ljust(BLOCK, b"\1"), 3: b"root".ljust(BLOCK, b"\2"), 7: b"end".ljust(BLOCK, b"\3")}
SIZE = 8 * BLOCK + 512  # of the disk that was uploaded; to hash the whole GiB takes seconds


@pytest.fixture
def cloud(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    aws_server.reset()
    point_environment(aws_server, monkeypatch)
    return aws_server


def publish(cloud: StandIn, blocks: dict[int, bytes], name: str = "web-1.0.0-x86_64") -> ImageLocation:
    """An image whose snapshot has these blocks."""
    snapshot = upload_blocks(cloud, blocks)
    image = register(cloud, name, BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot}}])
    available(cloud, image)
    return ImageLocation(HOME_ACCOUNT, HOME_REGION, image, snapshot)


def request(location: ImageLocation, shares: list[float] | None = None) -> ReadRequest:
    report = shares.append if shares is not None else lambda _: None
    return ReadRequest(location, None, {}, Path("/nonexistent"), Path("/nonexistent"), report)


def raw_digest(blocks: dict[int, bytes]) -> str:
    """SHA-256 of the first SIZE bytes of a disk with these blocks."""
    content = b"".join(blocks.get(index, bytes(BLOCK)) for index in range(9))
    return hashlib.sha256(content[:SIZE]).hexdigest()


def test_a_disk_comes_back_with_the_digests_of_its_bytes(cloud: StandIn, tmp_path: Path) -> None:
    shares: list[float] = []
    zeros = {5: bytes(BLOCK)}  # a block that was written, and has nothing in it
    with open_disk(request(publish(cloud, CONTENT | zeros), shares)) as disk:
        assert disk.size == GIB
        digest = digest_disk(write_raw(disk, tmp_path / "disk.raw"), SIZE)
    assert digest.sha256 == raw_digest(CONTENT)
    assert digest.blocks.digests == {index: hashlib.sha256(block).hexdigest() for index, block in CONTENT.items()}
    assert shares == [0.25, 0.5, 0.75, 1]
    raw = tmp_path / "disk.raw"
    assert raw.stat().st_size == GIB
    with raw.open("rb") as stream:
        assert hashlib.sha256(stream.read(SIZE)).hexdigest() == digest.sha256
    assert raw.stat().st_blocks * 512 <= len(CONTENT) * BLOCK, "absent blocks and zeros are holes"


def test_the_raw_digest_is_of_the_uploaded_bytes_though_sizes_are_rounded_up(cloud: StandIn) -> None:
    size = BLOCK + 1536
    blocks = {0: CONTENT[0], 1: b"x".ljust(1536, b"y").ljust(BLOCK, b"\0")}
    with open_disk(request(publish(cloud, blocks))) as disk:
        assert disk.size == GIB
        assert digest_disk(disk, size).sha256 == hashlib.sha256((blocks[0] + blocks[1])[:size]).hexdigest()


def test_an_empty_snapshot(cloud: StandIn) -> None:
    with open_disk(request(publish(cloud, {}))) as disk:
        digest = digest_disk(disk, SIZE)
    assert (digest.sha256, digest.blocks.digests) == (raw_digest({}), {})


def test_an_image_on_the_snapshot_of_another_version_is_refused(cloud: StandIn) -> None:
    ours, other = publish(cloud, CONTENT), publish(cloud, {0: CONTENT[3]}, "web-1.0.1-x86_64")
    switched = ImageLocation(HOME_ACCOUNT, HOME_REGION, other.id, ours.snapshot)
    with (
        pytest.raises(BakeryError, match="has other snapshots than its record") as caught,
        open_disk(request(switched)),
    ):
        pytest.fail("it was read")
    assert caught.value.detail == f"it has {other.snapshot}, expected {ours.snapshot}"


def test_an_image_with_a_second_volume_is_refused(cloud: StandIn) -> None:
    first, second = upload_blocks(cloud, CONTENT), upload_blocks(cloud, {0: CONTENT[3]})
    devices = [{"DeviceName": name, "Ebs": {"SnapshotId": id}} for name, id in ((ROOT, first), ("/dev/sdf", second))]
    image = register(cloud, "web-1.0.0-x86_64", BlockDeviceMappings=devices)
    available(cloud, image)
    location = ImageLocation(HOME_ACCOUNT, HOME_REGION, image, first)
    with pytest.raises(BakeryError, match="has other snapshots") as caught, open_disk(request(location)):
        pytest.fail("it was read")
    assert second in caught.value.detail


def test_an_image_that_is_gone(cloud: StandIn) -> None:
    location = publish(cloud, CONTENT)
    cloud.client("ec2").deregister_image(ImageId=location.id)
    with pytest.raises(NotFoundError, match=f"no image {location.id}"), open_disk(request(location)):
        pytest.fail("it was read")


def test_throttled_calls_are_repeated(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    location = publish(cloud, CONTENT)
    for action in ("ListSnapshotBlocks", "GetSnapshotBlock"):
        cloud.fault("ebs", action, error="RequestThrottledException", status=400, times=3)
    with open_disk(request(location)) as disk:
        assert digest_disk(disk, SIZE).sha256 == raw_digest(CONTENT)


def test_a_missing_right_names_the_block_and_the_role(cloud: StandIn) -> None:
    location = publish(cloud, CONTENT)
    cloud.fault("ebs", "GetSnapshotBlock", error="AccessDeniedException", status=403, times=3)
    with pytest.raises(BakeryError, match="cannot read block 0") as caught, open_disk(request(location)) as disk:
        digest_disk(disk)
    assert "lacks a permission" in caught.value.hint


class OddEbs:
    """A snapshot of 1 GiB whose answers a test spoils."""

    def __init__(self, *pages: list[int]) -> None:
        self.meta = SimpleNamespace(region_name=HOME_REGION)
        self.pages = pages
        self.block_size = BLOCK
        self.loops = False
        self.bodies: list[Any] = []  # what comes before the right bytes

    def list_snapshot_blocks(self, NextToken: str = "0", **_: Any) -> dict[str, Any]:
        number = int(NextToken)
        blocks = [{"BlockIndex": index, "BlockToken": "token"} for index in self.pages[number]]
        answer = {"Blocks": blocks, "VolumeSize": 1, "BlockSize": self.block_size}
        following = 1 if self.loops else number + 1
        return answer | ({"NextToken": str(following)} if following < len(self.pages) else {})

    def get_snapshot_block(self, BlockIndex: int, **_: Any) -> dict[str, Any]:
        content = bytes([BlockIndex % 256]) * BLOCK
        body = self.bodies.pop(0) if self.bodies else content
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return {"BlockData": Body(body), "Checksum": checksum}


class Body:
    def __init__(self, content: Any) -> None:
        self._content = content

    def read(self) -> bytes:
        if isinstance(self._content, Exception):
            raise self._content
        return io.BytesIO(self._content).read()


def read(ebs: OddEbs) -> dict[int, bytes]:
    return dict(read_snapshot(cast(Any, ebs), "snap-1", lambda _: None).blocks)


def test_long_lists_come_in_pages() -> None:
    assert list(read(OddEbs([1, 4], [7], [2047]))) == [1, 4, 7, 2047]


@pytest.mark.parametrize("pages", [([4, 1],), ([1], [1]), ([2048],), ([-1],)], ids=["order", "twice", "end", "below"])
def test_a_list_that_cannot_be_true_is_refused(pages: tuple[list[int], ...]) -> None:
    with pytest.raises(BakeryError, match="snap-1 cannot be read intact"):
        read(OddEbs(*pages))


def test_another_block_size_is_refused() -> None:
    ebs = OddEbs([1])
    ebs.block_size = 4096
    with pytest.raises(BakeryError, match="cannot be read intact"):
        read(ebs)


def test_a_list_without_an_end_is_refused() -> None:
    ebs = OddEbs([], [], [])
    ebs.loops = True
    with pytest.raises(BakeryError, match="cannot be read intact") as caught:
        read(ebs)
    assert "does not end" in caught.value.detail


@pytest.mark.parametrize(
    "body", [bytes(BLOCK), b"short", ReadTimeoutError(endpoint_url="x")], ids=["checksum", "length", "broken off"]
)
def test_a_damaged_block_is_read_again_and_then_named_by_its_offset(body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "BODY_PAUSE", 0.0)
    monkeypatch.setattr(read_back, "BODY_SECONDS", 0.2)
    ebs = OddEbs([3])
    ebs.bodies = [body, body]
    assert read(ebs) == {3: b"\3" * BLOCK}
    ebs.bodies = [body] * 10_000
    with pytest.raises(BakeryError) as caught:
        read(ebs)
    assert f"block 3 of snap-1, at byte {3 * BLOCK}" in f"{caught.value.message} {caught.value.detail}"
