"""EBS direct: what the stand-in verifies of a snapshot that is written block by block."""

import base64
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import BLOCK_SIZE, StandIn, put_block, until, upload

WEST = "eu-west-1"
CONSUMER = "222222222222"


def start(cloud: StandIn, **request: Any) -> str:
    snapshot_id: str = cloud.client("ebs").start_snapshot(**{"VolumeSize": 1, **request})["SnapshotId"]
    return snapshot_id


def linear(*blocks: bytes) -> dict[str, str]:
    digests = b"".join(hashlib.sha256(block).digest() for block in blocks)
    checksum = base64.b64encode(hashlib.sha256(digests).digest()).decode()
    return {"Checksum": checksum, "ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}


def test_what_was_put_is_listed_and_read_back_after_parallel_puts(cloud: StandIn) -> None:
    ebs, ec2 = cloud.client("ebs"), cloud.client("ec2")
    blocks = {index: os.urandom(BLOCK_SIZE) for index in range(0, 160, 10)}
    snapshot_id = start(cloud)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: put_block(ebs, snapshot_id, index, blocks[index]), blocks))
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=16, **linear(*blocks.values()))
    until("completed", lambda: ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0])
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)
    assert listed["BlockSize"] == BLOCK_SIZE
    for block in listed["Blocks"]:
        answer = ebs.get_snapshot_block(SnapshotId=snapshot_id, **block)
        assert answer["BlockData"].read() == blocks.pop(block["BlockIndex"])
    assert not blocks


def test_the_ec2_snapshot_has_size_and_tags_and_is_pending_until_completion_has_been_waited_for(cloud: StandIn) -> None:
    ebs, ec2 = cloud.client("ebs"), cloud.client("ec2")
    snapshot_id = start(cloud, VolumeSize=4, Description="web", Tags=[{"Key": "Version", "Value": "1.0.0"}])

    def look() -> dict[str, Any]:
        return dict(ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0])

    assert [look()["State"] for _ in range(5)] == ["pending"] * 5
    put_block(ebs, snapshot_id, 0, bytes(BLOCK_SIZE))
    assert ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=1)["Status"] == "pending"
    assert [look()["State"] for _ in range(2)] == ["pending", "completed"]
    snapshot = look()
    assert (snapshot["VolumeSize"], snapshot["Description"]) == (4, "web")
    assert snapshot["Tags"] == [{"Key": "Version", "Value": "1.0.0"}]


def test_a_client_token_starts_one_snapshot_and_refuses_another_request(cloud: StandIn) -> None:
    first = start(cloud, ClientToken="once")
    assert start(cloud, ClientToken="once") == first
    with pytest.raises(ClientError, match=r"\(ConflictException\)"):
        start(cloud, ClientToken="once", VolumeSize=2)
    assert start(cloud) != start(cloud)


@pytest.mark.parametrize(
    "wrong",
    [
        {"Checksum": base64.b64encode(bytes(32)).decode()},
        {"DataLength": 512},
        {"BlockData": bytes(BLOCK_SIZE - 1)},
        {"BlockIndex": 2048},
    ],
    ids=["checksum", "announced length", "length", "index beyond the volume"],
)
def test_a_block_that_does_not_fit_is_refused(cloud: StandIn, wrong: dict[str, Any]) -> None:
    ebs = cloud.client("ebs")
    snapshot_id = start(cloud)
    index, data = wrong.pop("BlockIndex", 0), wrong.pop("BlockData", bytes(BLOCK_SIZE))
    with pytest.raises(ClientError, match=r"\(ValidationException\)") as refusal:
        put_block(ebs, snapshot_id, index, data, **wrong)
    assert dict(refusal.value.response)["Reason"] == "INVALID_BLOCK"


def test_unknown_snapshots_and_those_of_other_accounts_are_not_found(cloud: StandIn) -> None:
    theirs = start(cloud)
    for snapshot_id, account in (("snap-0123456789abcdef0", "123456789012"), (theirs, CONSUMER)):
        with pytest.raises(ClientError, match=r"\(ResourceNotFoundException\)") as refusal:
            put_block(cloud.client("ebs", account=account), snapshot_id, 0, bytes(BLOCK_SIZE))
        assert dict(refusal.value.response)["Reason"] == "SNAPSHOT_NOT_FOUND"


def test_completion_counts_the_blocks(cloud: StandIn) -> None:
    ebs = cloud.client("ebs")
    snapshot_id = start(cloud)
    put_block(ebs, snapshot_id, 0, bytes(BLOCK_SIZE))
    with pytest.raises(ClientError, match="1 blocks were written, ChangedBlocksCount is 2"):
        ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=2)


def test_completion_verifies_the_linear_checksum_in_index_order(cloud: StandIn) -> None:
    ebs = cloud.client("ebs")
    snapshot_id = start(cloud)
    one, two = b"1" * BLOCK_SIZE, b"2" * BLOCK_SIZE
    put_block(ebs, snapshot_id, 7, two)
    put_block(ebs, snapshot_id, 3, one)
    with pytest.raises(ClientError, match="aggregated checksum"):
        ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=2, **linear(two, one))
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=2, **linear(one, two))


def test_a_completed_snapshot_takes_no_more_blocks_and_an_open_one_is_not_read(cloud: StandIn) -> None:
    ebs = cloud.client("ebs")
    with pytest.raises(ClientError, match="it takes no more blocks"):
        put_block(ebs, upload(cloud), 1, bytes(BLOCK_SIZE))
    with pytest.raises(ClientError, match="not completed"):
        ebs.list_snapshot_blocks(SnapshotId=start(cloud))


def test_a_block_is_read_with_its_own_token_only(cloud: StandIn) -> None:
    ebs = cloud.client("ebs")
    with pytest.raises(ClientError, match="not that of block 0"):
        ebs.get_snapshot_block(SnapshotId=upload(cloud), BlockIndex=0, BlockToken="AAAA")


def test_a_child_inherits_the_blocks_of_its_parent_and_counts_its_own(cloud: StandIn) -> None:
    ebs, ec2 = cloud.client("ebs"), cloud.client("ec2")
    parent = upload(cloud)
    child = start(cloud, ParentSnapshotId=parent)
    put_block(ebs, child, 5, b"5" * BLOCK_SIZE)
    ebs.complete_snapshot(SnapshotId=child, ChangedBlocksCount=1, **linear(b"5" * BLOCK_SIZE))
    until("completed", lambda: ec2.describe_snapshots(SnapshotIds=[child])["Snapshots"][0])
    assert [block["BlockIndex"] for block in ebs.list_snapshot_blocks(SnapshotId=child)["Blocks"]] == [0, 5]
    changed = ebs.list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=child)["ChangedBlocks"]
    assert [block["BlockIndex"] for block in changed] == [5]


@pytest.mark.parametrize("wrong", [{"ParentSnapshotId": "snap-0123456789abcdef0"}, {"Encrypted": True}, {}])
def test_a_parent_must_exist_fit_and_stand_without_encrypted(cloud: StandIn, wrong: dict[str, Any]) -> None:
    bigger = upload(cloud, VolumeSize=2)
    size = 2 if wrong else 1
    with pytest.raises(ClientError, match=r"does not exist|exclude each other|The parent has 2 GiB"):
        start(cloud, **{"VolumeSize": size, "ParentSnapshotId": bigger, **wrong})


def test_a_parent_is_completed_and_of_the_account(cloud: StandIn) -> None:
    with pytest.raises(ClientError, match="is pending, not completed"):
        start(cloud, ParentSnapshotId=start(cloud))
    shared = upload(cloud)
    cloud.client("ec2").modify_snapshot_attribute(
        SnapshotId=shared, Attribute="createVolumePermission", OperationType="add", UserIds=[CONSUMER]
    )
    with pytest.raises(ClientError, match=r"\(ResourceNotFoundException\)"):
        cloud.client("ebs", account=CONSUMER).start_snapshot(VolumeSize=1, ParentSnapshotId=shared)


def test_a_deleted_parent_takes_no_block_from_its_child(cloud: StandIn) -> None:
    ebs, ec2 = cloud.client("ebs"), cloud.client("ec2")
    parent = upload(cloud)
    child = start(cloud, ParentSnapshotId=parent)
    ec2.delete_snapshot(SnapshotId=parent)
    ebs.complete_snapshot(SnapshotId=child, ChangedBlocksCount=0, **linear())
    until("completed", lambda: ec2.describe_snapshots(SnapshotIds=[child])["Snapshots"][0])
    [block] = ebs.list_snapshot_blocks(SnapshotId=child)["Blocks"]
    assert ebs.get_snapshot_block(SnapshotId=child, **block)["BlockData"].read() == bytes(BLOCK_SIZE)


def test_an_account_that_encrypts_by_default_takes_no_parent_without_a_key(cloud: StandIn) -> None:
    ebs, plain = cloud.client("ebs"), upload(cloud)
    cloud.client("ec2").enable_ebs_encryption_by_default()
    with pytest.raises(ClientError, match="encryption is the default"):
        start(cloud, ParentSnapshotId=plain)
    encrypted = upload(cloud)
    answers = [ebs.start_snapshot(VolumeSize=1), ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=encrypted)]
    assert answers[0]["KmsKeyArn"] == answers[1]["KmsKeyArn"] != ""


def test_encryption_takes_a_key_of_the_region(cloud: StandIn) -> None:
    key = cloud.client("kms", WEST).create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="There is no key"):
        start(cloud, Encrypted=True, KmsKeyArn=key)
    answer = cloud.client("ebs", WEST).start_snapshot(VolumeSize=1, Encrypted=True, KmsKeyArn=key)
    assert answer["KmsKeyArn"] == key


def test_long_lists_come_in_pages(cloud: StandIn) -> None:
    ebs, ec2 = cloud.client("ebs"), cloud.client("ec2")
    snapshot_id = start(cloud)
    for index in range(105):
        put_block(ebs, snapshot_id, index, bytes(BLOCK_SIZE))
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=105)
    until("completed", lambda: ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0])
    first = ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100)
    second = ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100, NextToken=first["NextToken"])
    assert (len(first["Blocks"]), len(second["Blocks"])) == (100, 5)
    assert "NextToken" not in second


def test_at_most_100_snapshots_are_pending(cloud: StandIn) -> None:
    for _ in range(100):
        start(cloud)
    with pytest.raises(ClientError, match=r"\(ServiceQuotaExceededException\)"):
        start(cloud)
