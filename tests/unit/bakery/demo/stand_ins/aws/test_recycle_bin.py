"""The Recycle Bin keeps what its rules cover, for as long as they say.

Sources: the EBS user guide, "Recover deleted Amazon EBS snapshots and EBS-backed AMIs with Recycle Bin" and
"Considerations for Recycle Bin"; the EC2 API reference, pages DeregisterImage, ListImagesInRecycleBin,
RestoreImageFromRecycleBin, ListSnapshotsInRecycleBin and RestoreSnapshotFromRecycleBin; the API reference of the
Recycle Bin, ListRules.
"""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import BLOCK_SIZE, StandIn, available, register, running

NAME = "web-1.0.0-x86_64"
DAY = 24 * 3600
CONSUMER = "222222222222"
TAGS = [{"Key": "bakery:arch", "Value": "x86_64"}]
TAG = [{"ResourceTagKey": "bakery:arch", "ResourceTagValue": "x86_64"}]


def add_rule(cloud: StandIn, kind: str, days: int, **rule: Any) -> str:
    """The ID of an active rule."""
    rbin = cloud.client("rbin")
    period = {"RetentionPeriodValue": days, "RetentionPeriodUnit": "DAYS"}
    identifier: str = rbin.create_rule(ResourceType=kind, RetentionPeriod=period, **rule)["Identifier"]
    while rbin.get_rule(Identifier=identifier)["Status"] != "available":
        pass
    return identifier


def publish(cloud: StandIn, tags: list[dict[str, str]] = TAGS) -> tuple[str, str]:
    """The IDs of a shared image and its snapshot."""
    specification = [{"ResourceType": "image", "Tags": tags}] if tags else []
    image_id = register(cloud, NAME, TagSpecifications=specification)
    snapshot: str = available(cloud, image_id)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2 = cloud.client("ec2")
    if tags:
        ec2.create_tags(Resources=[snapshot], Tags=tags)
    share = {"Add": [{"UserId": CONSUMER}]}
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission=share)
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission=share)
    return image_id, snapshot


def images_in_bin(cloud: StandIn) -> list[str]:
    return [image["ImageId"] for image in cloud.client("ec2").list_images_in_recycle_bin()["Images"]]


def snapshots_in_bin(cloud: StandIn) -> list[str]:
    return [entry["SnapshotId"] for entry in cloud.client("ec2").list_snapshots_in_recycle_bin()["Snapshots"]]


def test_an_image_comes_back_after_its_snapshot_with_tags_and_blocks_and_without_shares(cloud: StandIn) -> None:
    for kind in ("EC2_IMAGE", "EBS_SNAPSHOT"):
        add_rule(cloud, kind, 7, ResourceTags=TAG)
    ec2 = cloud.client("ec2")
    image, snapshot = publish(cloud)
    ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert (
        ec2.describe_images(Owners=["self"])["Images"] == ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    )
    assert (images_in_bin(cloud), snapshots_in_bin(cloud)) == ([image], [snapshot])
    [entry] = ec2.list_images_in_recycle_bin(ImageIds=[image])["Images"]
    assert entry["Name"] == NAME
    assert entry["RecycleBinExitTime"] - entry["RecycleBinEnterTime"] == timedelta(days=7)
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.NotFound\)"):
        ec2.restore_image_from_recycle_bin(ImageId=image)
    assert ec2.restore_snapshot_from_recycle_bin(SnapshotId=snapshot)["VolumeSize"] == 1
    ec2.restore_image_from_recycle_bin(ImageId=image)
    assert (images_in_bin(cloud), snapshots_in_bin(cloud)) == ([], [])
    shown = available(cloud, image)
    assert (shown["Name"], shown["Tags"]) == (NAME, TAGS)
    ebs = cloud.client("ebs")
    [block] = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    assert ebs.get_snapshot_block(SnapshotId=snapshot, **block)["BlockData"].read() == bytes(BLOCK_SIZE)
    consumer = cloud.client("ec2", account=CONSUMER)
    assert consumer.describe_images(ExecutableUsers=["self"])["Images"] == []
    assert consumer.describe_snapshots(RestorableByUserIds=["self"], OwnerIds=["123456789012"])["Snapshots"] == []


def test_what_no_active_rule_covers_is_gone(cloud: StandIn) -> None:
    rbin, ec2 = cloud.client("rbin"), cloud.client("ec2")
    add_rule(cloud, "EC2_IMAGE", 7, ResourceTags=[{"ResourceTagKey": "bakery:arch", "ResourceTagValue": "aarch64"}])
    period = {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}
    rbin.create_rule(ResourceType="EC2_IMAGE", RetentionPeriod=period, ResourceTags=TAG)  # still pending
    add_rule(cloud, "EBS_SNAPSHOT", 7, ExcludeResourceTags=TAG)
    image, snapshot = publish(cloud)
    ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert (images_in_bin(cloud), snapshots_in_bin(cloud)) == ([], [])
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        ec2.restore_image_from_recycle_bin(ImageId=image)
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.NotFound\)"):
        ec2.restore_snapshot_from_recycle_bin(SnapshotId=snapshot)


def test_a_rule_for_the_region_keeps_all_and_the_longest_period_counts(cloud: StandIn) -> None:
    add_rule(cloud, "EC2_IMAGE", 3)
    add_rule(cloud, "EC2_IMAGE", 9, ResourceTags=TAG)
    image, snapshot = publish(cloud)
    cloud.client("ec2").deregister_image(ImageId=image)
    cloud.settings(clock_ahead=8.9 * DAY)
    assert images_in_bin(cloud) == [image]
    cloud.settings(clock_ahead=9.1 * DAY)
    assert images_in_bin(cloud) == []
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        cloud.client("ec2").restore_image_from_recycle_bin(ImageId=image)
    assert snapshots_in_bin(cloud) == [], "it was not deleted"
    cloud.client("ec2").delete_snapshot(SnapshotId=snapshot)


def test_a_name_that_was_taken_meanwhile_keeps_an_image_in_the_bin(cloud: StandIn) -> None:
    add_rule(cloud, "EC2_IMAGE", 7)
    image, _ = publish(cloud)
    cloud.client("ec2").deregister_image(ImageId=image)
    register(cloud, NAME)
    with pytest.raises(ClientError, match=r"\(InvalidAMIName.Duplicate\)"):
        cloud.client("ec2").restore_image_from_recycle_bin(ImageId=image)
    assert images_in_bin(cloud) == [image]


def test_rules_are_listed_by_type_and_tags(cloud: StandIn) -> None:
    rbin = cloud.client("rbin")
    tagged, regional = add_rule(cloud, "EC2_IMAGE", 7, ResourceTags=TAG), add_rule(cloud, "EC2_IMAGE", 7)
    add_rule(cloud, "EBS_SNAPSHOT", 7)

    def identifiers(**request: Any) -> list[str]:
        return [rule["Identifier"] for rule in rbin.list_rules(ResourceType="EC2_IMAGE", **request)["Rules"]]

    assert identifiers() == [tagged, regional]
    assert identifiers(ResourceTags=TAG) == [tagged]
    with pytest.raises(ClientError, match="ValidationException"):
        add_rule(cloud, "EC2_IMAGE", 7, ResourceTags=TAG, ExcludeResourceTags=TAG)


def test_the_bin_survives_a_restart_with_the_blocks(tmp_path: Any) -> None:
    state = tmp_path / "aws.state"
    with running(state) as cloud:
        add_rule(cloud, "EC2_IMAGE", 7)
        add_rule(cloud, "EBS_SNAPSHOT", 7)
        image, snapshot = publish(cloud)
        cloud.client("ec2").deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    with running(state) as cloud:
        assert images_in_bin(cloud) == [image]
        cloud.client("ec2").restore_snapshot_from_recycle_bin(SnapshotId=snapshot)
        ebs = cloud.client("ebs")
        [block] = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
        assert ebs.get_snapshot_block(SnapshotId=snapshot, **block)["BlockData"].read() == bytes(BLOCK_SIZE)
