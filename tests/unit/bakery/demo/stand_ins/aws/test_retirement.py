"""Deprecation, disabling, protection and removal of images, and who sees which image.

Sources: the EC2 API reference, pages DescribeImages, EnableImageDeprecation, DisableImageDeprecation, DisableImage,
EnableImage, EnableImageDeregistrationProtection, DisableImageDeregistrationProtection and DeregisterImage; the EC2
user guide, "Disable an AMI".
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import HOME_ACCOUNT, StandIn, available, register

CONSUMER = "222222222222"
STRANGER = "333333333333"
NAME = "web-1.0.0-x86_64"
DAY = 24 * 3600


@pytest.fixture
def image(cloud: StandIn) -> str:
    """The ID of an available image."""
    image_id = register(cloud, NAME)
    available(cloud, image_id)
    return image_id


def share(cloud: StandIn, image_id: str, **entry: str) -> None:
    cloud.client("ec2").modify_image_attribute(
        ImageId=image_id, LaunchPermission={"Add": [entry or {"UserId": CONSUMER}]}
    )


def names(cloud: StandIn, account: str = HOME_ACCOUNT, **request: Any) -> list[str]:
    """Names of the images of this test's owner that an account sees."""
    shown = cloud.client("ec2", account=account).describe_images(**({"Owners": [HOME_ACCOUNT]} | request))["Images"]
    return sorted(image["Name"] for image in shown)


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def pass_days(cloud: StandIn, days: float) -> None:
    cloud.settings(clock_ahead=days * DAY)


def test_an_account_sees_its_own_shared_and_public_images(cloud: StandIn) -> None:
    own, shared, public = (register(cloud, name) for name in ("own", "shared", "public"))
    for image_id in (own, shared, public):
        available(cloud, image_id)
    share(cloud, shared)
    share(cloud, public, Group="all")
    assert names(cloud) == ["own", "public", "shared"]
    assert names(cloud, CONSUMER) == ["public", "shared"]
    assert names(cloud, STRANGER) == ["public"]
    assert names(cloud, CONSUMER, ExecutableUsers=["self"]) == ["shared"]
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        names(cloud, STRANGER, ImageIds=[shared])


def test_a_deprecated_image_leaves_the_lists_of_others_when_its_time_comes(cloud: StandIn, image: str) -> None:
    share(cloud, image)
    cloud.client("ec2").enable_image_deprecation(ImageId=image, DeprecateAt=in_days(1))
    assert names(cloud, CONSUMER) == [NAME], "before its time"
    pass_days(cloud, 2)
    assert names(cloud) == [NAME], "its owner"
    assert names(cloud, CONSUMER) == []
    assert names(cloud, CONSUMER, IncludeDeprecated=True) == [NAME]
    assert names(cloud, CONSUMER, ImageIds=[image]) == [NAME]
    cloud.client("ec2", account=CONSUMER).run_instances(ImageId=image, MinCount=1, MaxCount=1)


def test_a_deprecation_is_shown_to_the_minute_and_can_be_cancelled(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt="2035-01-01T00:00:31Z")
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["DeprecationTime"] == "2035-01-01T00:01:00.000Z"
    ec2.disable_image_deprecation(ImageId=image)
    assert "DeprecationTime" not in ec2.describe_images(ImageIds=[image])["Images"][0]


@pytest.mark.parametrize(("days", "public"), [(-1, False), (3655, False), (733, True)])
def test_a_deprecation_is_neither_in_the_past_nor_too_far_away(
    cloud: StandIn, image: str, days: float, public: bool
) -> None:
    if public:
        share(cloud, image, Group="all")
    with pytest.raises(ClientError, match=r"\(InvalidParameterValue\)"):
        cloud.client("ec2").enable_image_deprecation(ImageId=image, DeprecateAt=in_days(days))


def test_a_disabled_image_is_hidden_and_loses_its_shares_for_good(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    share(cloud, image)
    ec2.disable_image(ImageId=image)
    assert names(cloud) == []
    [shown] = ec2.describe_images(ImageIds=[image], IncludeDisabled=True)["Images"]
    assert shown["State"] == "disabled"
    assert ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"] == []
    ec2.enable_image(ImageId=image)
    assert names(cloud) == [NAME]
    assert names(cloud, CONSUMER) == [], "enabling does not share it again"
    share(cloud, image)
    assert names(cloud, CONSUMER) == [NAME]


def test_a_disabled_image_is_neither_started_shared_copied_nor_stripped_of_its_snapshot(
    cloud: StandIn, image: str
) -> None:
    ec2, west = cloud.client("ec2"), cloud.client("ec2", "eu-west-1")
    snapshot = available(cloud, image)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.disable_image(ImageId=image)
    for call in (
        lambda: ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1),
        lambda: share(cloud, image),
        lambda: west.copy_image(Name=NAME, SourceImageId=image, SourceRegion="eu-central-1"),
    ):
        with pytest.raises(ClientError, match=r"\(InvalidAMIID.Unavailable\).* is currently disabled"):
            call()
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.InUse\)"):
        ec2.delete_snapshot(SnapshotId=snapshot)


def test_a_filter_for_disabled_images_has_to_include_them(cloud: StandIn, image: str) -> None:
    """turbot/steampipe-plugin-aws, issue 2276."""
    cloud.client("ec2").disable_image(ImageId=image)
    disabled = [{"Name": "state", "Values": ["disabled"]}]
    with pytest.raises(ClientError, match=r"\(InvalidParameter\).*'IncludeDisabled' must be set"):
        names(cloud, Filters=disabled)
    assert names(cloud, Filters=disabled, IncludeDisabled=True) == [NAME]


def test_only_the_owner_ends_an_image(cloud: StandIn, image: str) -> None:
    share(cloud, image)
    consumer = cloud.client("ec2", account=CONSUMER)
    for call in (consumer.disable_image, consumer.enable_image, consumer.enable_image_deregistration_protection):
        with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
            call(ImageId=image)


def test_only_an_available_image_is_started_by_those_who_may(cloud: StandIn) -> None:
    image_id = register(cloud, NAME)
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.Unavailable\).* is currently pending"):
        cloud.client("ec2").run_instances(ImageId=image_id, MinCount=1, MaxCount=1)
    available(cloud, image_id)
    consumer = cloud.client("ec2", account=CONSUMER)
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        consumer.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)
    share(cloud, image_id)
    consumer.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)


def test_a_template_starts_available_images_only(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image})
    start = {"LaunchTemplate": {"LaunchTemplateName": "web"}, "MinCount": 1, "MaxCount": 1}
    ec2.run_instances(**start)
    ec2.disable_image(ImageId=image)
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.Unavailable\)"):
        ec2.run_instances(**start)


def test_a_parameter_names_the_image_to_start(cloud: StandIn, image: str) -> None:
    ec2, ssm = cloud.client("ec2"), cloud.client("ssm")
    ssm.put_parameter(Name="/web", Value=image, Type="String")
    [instance] = ec2.run_instances(ImageId="resolve:ssm:/web", MinCount=1, MaxCount=1)["Instances"]
    assert instance["ImageId"] == image
    with pytest.raises(ClientError, match=r"\(InvalidParameterValue\)"):
        ec2.run_instances(ImageId="resolve:ssm:/none", MinCount=1, MaxCount=1)


def protection(cloud: StandIn, image_id: str) -> str:
    """As both calls show it."""
    ec2 = cloud.client("ec2")
    shown: str = ec2.describe_images(ImageIds=[image_id])["Images"][0]["DeregistrationProtection"]
    attribute = ec2.describe_image_attribute(ImageId=image_id, Attribute="deregistrationProtection")
    assert attribute["DeregistrationProtection"]["Value"] == shown
    return shown


def test_a_protected_image_is_not_deregistered(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    assert protection(cloud, image) == "disabled"
    ec2.enable_image_deregistration_protection(ImageId=image)
    assert protection(cloud, image) == "enabled-without-cooldown"
    with pytest.raises(ClientError, match=r"\(OperationNotPermitted\)"):
        ec2.deregister_image(ImageId=image)
    ec2.disable_image_deregistration_protection(ImageId=image)
    ec2.deregister_image(ImageId=image)
    assert names(cloud) == []


def test_a_protection_with_a_cooldown_lasts_another_day(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    ec2.enable_image_deregistration_protection(ImageId=image, WithCooldown=True)
    assert protection(cloud, image) == "enabled-with-cooldown"
    ec2.disable_image_deregistration_protection(ImageId=image)
    assert protection(cloud, image).startswith("disabled after ")
    pass_days(cloud, 0.9)
    ec2.disable_image_deregistration_protection(ImageId=image)  # no second day
    with pytest.raises(ClientError, match=r"\(OperationNotPermitted\)"):
        ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1
    pass_days(cloud, 1.1)
    assert protection(cloud, image) == "disabled"
    answer = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert [result["ReturnCode"] for result in answer["DeleteSnapshotResults"]] == ["success"]
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
