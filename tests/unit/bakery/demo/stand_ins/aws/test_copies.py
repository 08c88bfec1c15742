"""CopyImage: idempotency, tags, access, encryption and limits."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import HOME_REGION, ROOT, StandIn, available, register, upload

CONSUMER = "222222222222"
WEST = "eu-west-1"
NAME = "web-1.0.0-x86_64"
TAGS = [{"Key": "Version", "Value": "1.0.0"}]


@pytest.fixture
def source(cloud: StandIn) -> str:
    """An available, tagged image in the home region."""
    image_id = register(cloud, NAME, TagSpecifications=[{"ResourceType": "image", "Tags": TAGS}])
    available(cloud, image_id)
    return image_id


def copy(cloud: StandIn, source: str, account: str = "123456789012", **request: Any) -> str:
    image: str = cloud.client("ec2", WEST, account).copy_image(
        **({"Name": NAME, "SourceImageId": source, "SourceRegion": HOME_REGION} | request)
    )["ImageId"]
    return image


def snapshot_of(cloud: StandIn, image: dict[str, Any]) -> dict[str, Any]:
    ids = [image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]]
    return dict(cloud.client("ec2", WEST).describe_snapshots(SnapshotIds=ids)["Snapshots"][0])


def test_a_copy_is_pending_names_its_source_and_has_a_snapshot_of_its_own(cloud: StandIn, source: str) -> None:
    copied = copy(cloud, source)
    ec2 = cloud.client("ec2", WEST)
    assert ec2.describe_images(ImageIds=[copied])["Images"][0]["State"] == "pending"
    image = available(cloud, copied, WEST)
    assert (image["SourceImageId"], image["SourceImageRegion"]) == (source, HOME_REGION)
    assert (image["Architecture"], image["BootMode"]) == ("x86_64", "uefi")
    snapshot = snapshot_of(cloud, image)
    assert (snapshot["State"], snapshot["VolumeSize"]) == ("completed", 1)
    criteria = [{"Name": "source-image-id", "Values": [source]}]
    assert [image["ImageId"] for image in ec2.describe_images(Filters=criteria)["Images"]] == [copied]


def test_the_blocks_of_a_copy_can_be_read_in_its_region(cloud: StandIn, source: str) -> None:
    snapshot = snapshot_of(cloud, available(cloud, copy(cloud, source), WEST))
    assert len(cloud.client("ebs", WEST).list_snapshot_blocks(SnapshotId=snapshot["SnapshotId"])["Blocks"]) == 1


def test_tags_come_along_only_when_asked_for(cloud: StandIn, source: str) -> None:
    assert available(cloud, copy(cloud, source), WEST)["Tags"] == []
    assert available(cloud, copy(cloud, source, CopyImageTags=True), WEST)["Tags"] == TAGS


def test_tag_specifications_reach_image_and_snapshot_in_the_same_call(cloud: StandIn, source: str) -> None:
    specifications = [
        {"ResourceType": "image", "Tags": [{"Key": "Of", "Value": "image"}]},
        {"ResourceType": "snapshot", "Tags": [{"Key": "Of", "Value": "snapshot"}]},
    ]
    image = available(cloud, copy(cloud, source, TagSpecifications=specifications), WEST)
    assert image["Tags"] == [{"Key": "Of", "Value": "image"}]
    assert snapshot_of(cloud, image)["Tags"] == [{"Key": "Of", "Value": "snapshot"}]


def test_a_client_token_makes_one_copy_and_refuses_another_request(cloud: StandIn, source: str) -> None:
    first = copy(cloud, source, ClientToken="once")
    assert copy(cloud, source, ClientToken="once") == first
    with pytest.raises(ClientError, match=r"\(IdempotentParameterMismatch\)"):
        copy(cloud, source, ClientToken="once", Name="other")
    assert copy(cloud, source) != copy(cloud, source)


def test_launch_permissions_are_not_copied(cloud: StandIn, source: str) -> None:
    permission = {"Add": [{"UserId": CONSUMER}]}
    cloud.client("ec2").modify_image_attribute(ImageId=source, LaunchPermission=permission)
    copied = copy(cloud, source)
    answer = cloud.client("ec2", WEST).describe_image_attribute(ImageId=copied, Attribute="launchPermission")
    assert answer["LaunchPermissions"] == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"SourceImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"SourceRegion": "us-east-1"}, "InvalidAMIID.NotFound"),
        ({"SourceRegion": "mars-north-1"}, "InvalidParameterValue"),
        ({"KmsKeyId": "alias/none"}, "InvalidParameterDependency"),
    ],
)
def test_a_copy_that_cannot_be_is_refused(cloud: StandIn, source: str, request_: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError, match=rf"\({code}\)"):
        copy(cloud, source, **request_)
    assert cloud.client("ec2", WEST).describe_images(Owners=["self"])["Images"] == []


def test_another_account_needs_the_launch_and_the_snapshot_permission(cloud: StandIn, source: str) -> None:
    ec2 = cloud.client("ec2")
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        copy(cloud, source, CONSUMER)
    ec2.modify_image_attribute(ImageId=source, LaunchPermission={"Add": [{"UserId": CONSUMER}]})
    with pytest.raises(ClientError, match="You do not have permission to access the storage of this ami"):
        copy(cloud, source, CONSUMER)
    [snapshot] = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    permission = {"Add": [{"UserId": CONSUMER}]}
    ec2.modify_snapshot_attribute(SnapshotId=snapshot["SnapshotId"], CreateVolumePermission=permission)
    copied = copy(cloud, source, CONSUMER, CopyImageTags=True)
    [image] = cloud.client("ec2", WEST, CONSUMER).describe_images(ImageIds=[copied])["Images"]
    assert (image["OwnerId"], image["Tags"]) == (CONSUMER, [])


def test_an_encrypted_copy_keeps_the_key_it_was_made_with(cloud: StandIn, source: str) -> None:
    key = cloud.client("kms", WEST).create_key()["KeyMetadata"]["Arn"]
    cloud.client("kms", WEST).create_alias(AliasName="alias/images", TargetKeyId=key)
    image = available(cloud, copy(cloud, source, Encrypted=True, KmsKeyId="alias/images"), WEST)
    assert image["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    snapshot = snapshot_of(cloud, image)
    assert (snapshot["Encrypted"], snapshot["KmsKeyId"]) == (True, key)


def test_a_key_of_another_region_lets_the_copy_fail_later(cloud: StandIn, source: str) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    copied = copy(cloud, source, Encrypted=True, KmsKeyId=key)
    ec2 = cloud.client("ec2", WEST)
    assert [ec2.describe_images(ImageIds=[copied])["Images"][0]["State"] for _ in range(2)] == ["pending", "failed"]


def test_a_copy_of_an_encrypted_image_is_always_encrypted(cloud: StandIn) -> None:
    devices = [{"DeviceName": ROOT, "Ebs": {"SnapshotId": upload(cloud, Encrypted=True)}}]
    source = register(cloud, NAME, BlockDeviceMappings=devices)
    available(cloud, source)
    with pytest.raises(ClientError, match=r"\(InvalidRequest\).* unencrypted copy"):
        copy(cloud, source, Encrypted=False)
    snapshot = snapshot_of(cloud, available(cloud, copy(cloud, source), WEST))
    assert snapshot["Encrypted"] is True
    assert f":{WEST}:" in snapshot["KmsKeyId"]


def test_twenty_copies_run_at_once_in_one_destination_region(cloud: StandIn, source: str) -> None:
    copies = [copy(cloud, source, Name=f"copy-{number}") for number in range(20)]
    with pytest.raises(ClientError, match=r"\(ResourceLimitExceeded\)"):
        copy(cloud, source)
    cloud.client("ec2", "us-east-1").copy_image(Name=NAME, SourceImageId=source, SourceRegion=HOME_REGION)
    available(cloud, copies[0], WEST)
    copy(cloud, source)


def copy_snapshot(cloud: StandIn, source: str, account: str = "123456789012", **request: Any) -> list[dict[str, Any]]:
    """The copy in the other region as the first three looks show it."""
    ec2 = cloud.client("ec2", WEST, account)
    copied = ec2.copy_snapshot(SourceSnapshotId=source, SourceRegion=HOME_REGION, **request)["SnapshotId"]
    return [ec2.describe_snapshots(SnapshotIds=[copied])["Snapshots"][0] for _ in range(3)]


def test_a_copied_snapshot_is_pending_and_keeps_key_tags_and_blocks(cloud: StandIn) -> None:
    key = cloud.client("kms", WEST).create_key()["KeyMetadata"]["Arn"]
    tags = [{"ResourceType": "snapshot", "Tags": TAGS}]
    seen = copy_snapshot(cloud, upload(cloud), Encrypted=True, KmsKeyId=key, TagSpecifications=tags)
    assert [one["State"] for one in seen] == ["pending", "completed", "completed"]
    assert (seen[0]["KmsKeyId"], seen[0]["Encrypted"], seen[0]["Tags"]) == (key, True, TAGS)
    blocks = cloud.client("ebs", WEST).list_snapshot_blocks(SnapshotId=seen[0]["SnapshotId"])["Blocks"]
    assert len(blocks) == 1


def test_a_snapshot_is_copied_when_completed_and_readable(cloud: StandIn) -> None:
    pending = cloud.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"]
    with pytest.raises(ClientError, match=r"\(IncorrectState\)"):
        copy_snapshot(cloud, pending)
    snapshot_id = upload(cloud)
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.NotFound\)"):
        copy_snapshot(cloud, snapshot_id, CONSUMER)
    permission = {"Add": [{"UserId": CONSUMER}]}
    cloud.client("ec2").modify_snapshot_attribute(SnapshotId=snapshot_id, CreateVolumePermission=permission)
    assert copy_snapshot(cloud, snapshot_id, CONSUMER)[0]["OwnerId"] == CONSUMER


def test_a_snapshot_copied_with_a_key_of_another_region_ends_in_error(cloud: StandIn) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    seen = copy_snapshot(cloud, upload(cloud), Encrypted=True, KmsKeyId=key)
    assert [one["State"] for one in seen] == ["pending", "error", "error"]
