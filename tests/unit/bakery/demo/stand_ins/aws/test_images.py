"""RegisterImage, DescribeImages, sharing and removal, with the snapshots behind them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import ROOT, StandIn, available, register, upload

CONSUMER = "222222222222"
NAME = "web-1.0.0-x86_64"


def found(cloud: StandIn, *filters: tuple[str, str], account: str = "123456789012", **request: Any) -> list[str]:
    """Names of the images that DescribeImages gives; only own ones unless `request` says otherwise."""
    criteria = [{"Name": name, "Values": [value]} for name, value in filters]
    answer = cloud.client("ec2", account=account).describe_images(**({"Owners": ["self"]} | request), Filters=criteria)
    return [image["Name"] for image in answer["Images"]]


def share(cloud: StandIn, image_id: str) -> None:
    cloud.client("ec2").modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": CONSUMER}]})


def share_snapshot(cloud: StandIn, snapshot_id: str) -> None:
    permission = {"Add": [{"UserId": CONSUMER}]}
    cloud.client("ec2").modify_snapshot_attribute(SnapshotId=snapshot_id, CreateVolumePermission=permission)


def test_an_image_keeps_what_it_was_registered_with(cloud: StandIn) -> None:
    snapshot_id = upload(cloud)
    image_id = register(
        cloud,
        NAME,
        Description="web server",
        EnaSupport=True,
        ImdsSupport="v2.0",
        BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot_id, "VolumeType": "gp3"}}],
        TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "Version", "Value": "1.0.0"}]}],
    )
    image = available(cloud, image_id)
    assert image["Tags"] == [{"Key": "Version", "Value": "1.0.0"}]
    assert (image["Architecture"], image["BootMode"], image["ImdsSupport"]) == ("x86_64", "uefi", "v2.0")
    assert (image["EnaSupport"], image["Description"], image["Public"]) == (True, "web server", False)
    [device] = image["BlockDeviceMappings"]
    expected = {"SnapshotId": snapshot_id, "VolumeSize": 1, "VolumeType": "gp3", "Encrypted": False}
    assert expected.items() <= device["Ebs"].items()


def test_only_the_uploaded_snapshot_exists_afterwards(cloud: StandIn) -> None:
    register(cloud, NAME)
    ec2 = cloud.client("ec2")
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1
    assert ec2.describe_volumes()["Volumes"] == []


def test_left_out_traits_are_those_of_the_api(cloud: StandIn) -> None:
    devices = [{"DeviceName": ROOT, "Ebs": {"SnapshotId": upload(cloud)}}]
    answer = cloud.client("ec2").register_image(Name=NAME, RootDeviceName=ROOT, BlockDeviceMappings=devices)
    image = available(cloud, answer["ImageId"])
    assert (image["Architecture"], image["VirtualizationType"]) == ("i386", "paravirtual")
    assert not {"BootMode", "EnaSupport", "ImdsSupport"} & image.keys()


def test_a_name_is_taken_once_per_account_and_region(cloud: StandIn) -> None:
    register(cloud, NAME)
    with pytest.raises(ClientError, match=r"\(InvalidAMIName.Duplicate\)"):
        register(cloud, NAME)
    register(cloud, NAME, "eu-west-1")
    cloud.client("ec2").deregister_image(ImageId=_id(cloud))
    register(cloud, NAME)


def test_a_name_with_other_characters_is_refused(cloud: StandIn) -> None:
    with pytest.raises(ClientError, match=r"\(InvalidAMIName.Malformed\)"):
        register(cloud, "web:1.0.0")


@pytest.mark.parametrize(
    ("ebs", "code"),
    [
        ({"SnapshotId": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound"),
        ({"SnapshotId": "pending"}, "IncorrectState"),
        ({"SnapshotId": "2 GiB", "VolumeSize": 1}, "InvalidBlockDeviceMapping"),
        ({"SnapshotId": "2 GiB", "Encrypted": True}, "InvalidBlockDeviceMapping"),
        ({"VolumeSize": 1}, "InvalidBlockDeviceMapping"),
    ],
)
def test_the_root_device_needs_a_completed_snapshot_that_fits(cloud: StandIn, ebs: dict[str, Any], code: str) -> None:
    if ebs.get("SnapshotId") == "pending":
        ebs = {"SnapshotId": cloud.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"]}
    elif ebs.get("SnapshotId") == "2 GiB":
        ebs = ebs | {"SnapshotId": upload(cloud, VolumeSize=2)}
    with pytest.raises(ClientError, match=rf"\({code}\)"):
        register(cloud, NAME, BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": ebs}])


def test_registering_tags_images_only(cloud: StandIn) -> None:
    tags = [{"Key": "Version", "Value": "1.0.0"}]
    with pytest.raises(ClientError, match=r"\(InvalidParameterValue\)"):
        register(cloud, NAME, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    assert found(cloud) == []


def test_an_image_is_pending_as_often_as_the_settings_say_and_hides_its_snapshot(cloud: StandIn) -> None:
    cloud.settings(pending_reads=3)
    image_id = register(cloud, NAME, BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"SnapshotId": upload(cloud)}}])
    seen = [cloud.client("ec2").describe_images(ImageIds=[image_id])["Images"][0] for _ in range(4)]
    assert [image["State"] for image in seen] == ["pending", "pending", "pending", "available"]
    shown = ["SnapshotId" in image["BlockDeviceMappings"][0]["Ebs"] for image in seen]
    assert shown == [False, False, False, True]


def test_an_image_can_end_as_failed(cloud: StandIn) -> None:
    cloud.settings(image_outcome="failed")
    image_id = register(cloud, NAME)
    seen = [cloud.client("ec2").describe_images(ImageIds=[image_id])["Images"][0]["State"] for _ in range(3)]
    assert seen == ["pending", "failed", "failed"]


def test_a_pending_image_is_neither_changed_nor_copied(cloud: StandIn) -> None:
    image_id = register(cloud, NAME)
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.Unavailable\).* is currently pending"):
        share(cloud, image_id)
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.Unavailable\).* is currently pending"):
        cloud.client("ec2", "eu-west-1").copy_image(Name=NAME, SourceImageId=image_id, SourceRegion="eu-central-1")


def test_describe_filters(cloud: StandIn) -> None:
    tags = [{"ResourceType": "image", "Tags": [{"Key": "Image", "Value": "web"}]}]
    image_id = register(cloud, NAME, TagSpecifications=tags)
    register(cloud, "db-1.0.0-x86_64")
    assert found(cloud, ("state", "available")) == []
    assert found(cloud, ("state", "available"), ("name", "web-*")) == [NAME], "a look that finds nothing counts too"
    assert found(cloud, ("name", "web-*")) == [NAME]
    assert found(cloud, ("tag:Image", "web")) == [NAME]
    assert found(cloud, ("state", "available"), ("name", "*-1.0.0-*"), ("tag:Image", "web")) == [NAME]
    assert found(cloud, ("name", NAME), ("architecture", "arm64")) == []
    assert found(cloud, ("source-image-id", image_id)) == []
    assert found(cloud, ("name", "db-*"), ImageIds=[image_id]) == []


def test_an_unknown_id_is_an_error_even_beside_a_known_one(cloud: StandIn) -> None:
    image_id = register(cloud, NAME)
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        cloud.client("ec2").describe_images(ImageIds=[image_id, "ami-0123456789abcdef0"])


def test_a_launch_permission_shows_the_image_without_its_tags(cloud: StandIn) -> None:
    tags = [{"ResourceType": "image", "Tags": [{"Key": "Image", "Value": "web"}]}]
    image_id = register(cloud, NAME, TagSpecifications=tags)
    available(cloud, image_id)
    consumer = cloud.client("ec2", account=CONSUMER)
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        consumer.describe_images(ImageIds=[image_id])
    share(cloud, image_id)
    [seen] = consumer.describe_images(ImageIds=[image_id])["Images"]
    assert (seen["OwnerId"], seen["Name"], seen["Tags"]) == ("123456789012", NAME, [])
    assert found(cloud, ("tag:Image", "web"), account=CONSUMER, Owners=["123456789012"]) == []
    assert found(cloud, account=CONSUMER, Owners=[], ExecutableUsers=["self"]) == [NAME]
    assert found(cloud, account=CONSUMER) == []


def test_each_account_has_its_own_tags_on_what_is_shared(cloud: StandIn) -> None:
    image_id = register(cloud, NAME)
    image = available(cloud, image_id)
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    consumer, both = cloud.client("ec2", account=CONSUMER), [image_id, snapshot_id]
    tag = [{"Key": "Image", "Value": "web"}]
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        consumer.create_tags(Resources=[image_id], Tags=tag)
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.NotFound\)"):
        consumer.create_tags(Resources=[snapshot_id], Tags=tag)
    share(cloud, image_id)
    share_snapshot(cloud, snapshot_id)
    consumer.create_tags(Resources=both, Tags=tag)
    assert [one["Tags"] for one in consumer.describe_images(ImageIds=[image_id])["Images"]] == [tag]
    assert [one["Tags"] for one in consumer.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]] == [tag]
    assert found(cloud, ("tag:Image", "web"), account=CONSUMER, Owners=["123456789012"]) == [NAME]
    assert found(cloud, ("tag:Image", "web")) == []
    owner = cloud.client("ec2")
    assert owner.describe_images(ImageIds=[image_id])["Images"][0]["Tags"] == []
    owner.create_tags(Resources=both, Tags=[{"Key": "Image", "Value": "owner"}])
    consumer.delete_tags(Resources=both, Tags=tag)
    assert [one["Tags"] for one in consumer.describe_images(ImageIds=[image_id])["Images"]] == [[]]
    assert found(cloud, ("tag:Image", "owner")) == [NAME]


def test_only_the_owner_changes_a_shared_image(cloud: StandIn) -> None:
    image_id = register(cloud, NAME)
    available(cloud, image_id)
    share(cloud, image_id)
    consumer = cloud.client("ec2", account=CONSUMER)
    for call in (consumer.deregister_image, consumer.modify_image_attribute):
        with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
            call(ImageId=image_id)


def test_a_snapshot_permission_shows_the_snapshot_without_its_tags(cloud: StandIn) -> None:
    snapshot_id = upload(cloud, Tags=[{"Key": "Version", "Value": "1.0.0"}])
    consumer = cloud.client("ec2", account=CONSUMER)
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.NotFound\)"):
        consumer.describe_snapshots(SnapshotIds=[snapshot_id])
    share_snapshot(cloud, snapshot_id)
    [seen] = consumer.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    assert (seen["OwnerId"], seen.get("Tags", [])) == ("123456789012", [])
    blocks = cloud.client("ebs", account=CONSUMER).list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    assert len(blocks) == 1


def test_both_forms_of_a_snapshot_permission_count(cloud: StandIn) -> None:
    ec2, consumer = cloud.client("ec2"), cloud.client("ec2", account=CONSUMER)
    snapshot_id = upload(cloud)
    share_snapshot(cloud, snapshot_id)
    consumer.describe_snapshots(SnapshotIds=[snapshot_id])
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot_id, Attribute="createVolumePermission", OperationType="remove", UserIds=[CONSUMER]
    )
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.NotFound\)"):
        consumer.describe_snapshots(SnapshotIds=[snapshot_id])


def test_nothing_under_the_default_key_is_shared(cloud: StandIn) -> None:
    snapshot_id = upload(cloud, Encrypted=True)
    image_id = register(cloud, NAME, BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot_id}}])
    available(cloud, image_id)
    with pytest.raises(ClientError, match=r"\(InvalidParameter\).* can't be shared"):
        share(cloud, image_id)
    with pytest.raises(ClientError, match=r"\(OperationNotPermitted\).* cannot be shared"):
        share_snapshot(cloud, snapshot_id)
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    share_snapshot(cloud, upload(cloud, Encrypted=True, KmsKeyArn=key))


def test_deregistering_deletes_snapshots_only_when_asked_and_only_unused_ones(cloud: StandIn) -> None:
    ec2 = cloud.client("ec2")
    snapshot_id = upload(cloud)
    devices = [{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot_id}}]
    first, second, third = (register(cloud, name, BlockDeviceMappings=devices) for name in ("one", "two", "three"))
    assert ec2.deregister_image(ImageId=first).get("DeleteSnapshotResults", []) == []
    for image_id, result in ((second, "skipped"), (third, "success")):
        answer = ec2.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)
        assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot_id, "ReturnCode": result}]
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert ec2.describe_images(ImageIds=[third])["Images"] == []


def test_a_snapshot_in_use_is_not_deleted(cloud: StandIn) -> None:
    ec2 = cloud.client("ec2")
    register(cloud, NAME)
    [snapshot] = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.InUse\)"):
        ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    ec2.deregister_image(ImageId=_id(cloud))
    ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])


def test_an_image_made_from_an_instance_has_a_name_of_its_own_and_is_pending_too(cloud: StandIn) -> None:
    ec2 = cloud.client("ec2")
    instance = _instance(cloud)
    image_id = ec2.create_image(InstanceId=instance["InstanceId"], Name=NAME)["ImageId"]
    assert ec2.describe_images(ImageIds=[image_id])["Images"][0]["State"] == "pending"
    available(cloud, image_id)
    with pytest.raises(ClientError, match=r"\(InvalidAMIName.Duplicate\)"):
        ec2.create_image(InstanceId=instance["InstanceId"], Name=NAME)


def _id(cloud: StandIn) -> str:
    """The ID of the only own image."""
    [image] = cloud.client("ec2").describe_images(Owners=["self"])["Images"]
    return str(image["ImageId"])


def test_an_image_of_an_instance_has_a_snapshot_with_tags(cloud: StandIn) -> None:
    ec2 = cloud.client("ec2")
    instance = _instance(cloud)
    tags = [{"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]} for kind in ("image", "snapshot")]
    image_id = ec2.create_image(InstanceId=instance["InstanceId"], Name=NAME, TagSpecifications=tags)["ImageId"]
    image = available(cloud, image_id)
    [device] = image["BlockDeviceMappings"]
    [snapshot] = ec2.describe_snapshots(SnapshotIds=[device["Ebs"]["SnapshotId"]])["Snapshots"]
    assert image["Tags"] == [{"Key": "of", "Value": "image"}]
    assert snapshot["Tags"] == [{"Key": "of", "Value": "snapshot"}]
    assert (snapshot["State"], snapshot["VolumeSize"]) == ("completed", device["Ebs"]["VolumeSize"])
    assert image["RootDeviceName"] == device["DeviceName"]


def test_a_refused_image_of_an_instance_takes_no_name(cloud: StandIn) -> None:
    """A client sends a call again after an error of the server, and is told that the name is taken."""
    ec2 = cloud.client("ec2")
    instance_id = _instance(cloud)["InstanceId"]
    ec2.terminate_instances(InstanceIds=[instance_id])
    with pytest.raises(ClientError, match=r"\(IncorrectInstanceState\)"):
        ec2.create_image(InstanceId=instance_id, Name=NAME)
    assert found(cloud) == []


def test_an_instance_has_an_address_on_loopback(cloud: StandIn) -> None:
    addresses = {_instance(cloud)["PublicIpAddress"], _instance(cloud)["PublicIpAddress"]}
    assert len(addresses) == 2
    assert all(address.startswith("127.77.") for address in addresses)


def _instance(cloud: StandIn) -> dict[str, Any]:
    ec2 = cloud.client("ec2")
    public = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    [started] = ec2.run_instances(ImageId=public, MinCount=1, MaxCount=1)["Instances"]
    [reservation] = ec2.describe_instances(InstanceIds=[started["InstanceId"]])["Reservations"]
    instance: dict[str, Any] = reservation["Instances"][0]
    return instance
