"""What runs of an image left is found in all regions, nothing else is, and it goes in an order that works."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from bakery.clouds.aws import leftovers
from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.target import Listing, Resource
from bakery.model.definition import ImageDefinition
from doubles.aws.client import HOME_ACCOUNT, ROOT, StandIn, available, point_environment, register, upload

HOME, OTHER = "eu-central-1", "us-east-1"
OURS = {"bakery:image": "web", "bakery:version": "1.0.0", "bakery:arch": "x86_64"}
BUILD = {**OURS, "bakery:purpose": "build"}
NAME = "web-1.0.0-x86_64"
GROUP = "packer_65920080-aaaa-bbbb-cccc-000000000000"  # of 2024-01-01, as Packer names it


@pytest.fixture
def cloud(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    aws_server.reset()
    point_environment(aws_server, monkeypatch)
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(min(seconds, 0.01)))
    return aws_server


@pytest.fixture
def target(definition: ImageDefinition, cloud: StandIn) -> AwsTarget:
    """The target of `web` in two regions."""
    return AwsTarget(definition)


def tag(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def start_build(cloud: StandIn, tags: dict[str, str], region: str = HOME, group: str = GROUP) -> dict[str, str]:
    """A machine as Packer starts it, with its group and its key pair: IDs by kind."""
    ec2 = cloud.client("ec2", region)
    base = ec2.describe_images(ImageIds=[register_base(cloud, region)])["Images"][0]["ImageId"]
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group_id = ec2.create_security_group(
        GroupName=group, Description="temporary", VpcId=vpc, TagSpecifications=tag("security-group", tags)
    )["GroupId"]
    pair = ec2.create_key_pair(KeyName=group, TagSpecifications=tag("key-pair", tags))
    instance = ec2.run_instances(
        ImageId=base,
        MinCount=1,
        MaxCount=1,
        SecurityGroupIds=[group_id],
        KeyName=pair["KeyName"],
        TagSpecifications=tag("instance", tags),
    )["Instances"][0]["InstanceId"]
    return {"instance": instance, "security group": group_id, "key pair": pair["KeyName"]}


def register_base(cloud: StandIn, region: str) -> str:
    image = register(cloud, f"vendor-{time.monotonic_ns()}", region)
    available(cloud, image, region)
    return image


def make_image(cloud: StandIn, name: str, tags: dict[str, str], region: str = HOME) -> tuple[str, str]:
    """An image and its snapshot, both with the tags."""
    ec2 = cloud.client("ec2", region)
    snapshot = upload(cloud, region, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    devices = [{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot}}]
    image = register(cloud, name, region, BlockDeviceMappings=devices)
    available(cloud, image, region)
    if tags:
        ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return image, snapshot


def flatten(listing: Listing) -> list[Resource]:
    assert not listing.failures
    return [resource for part in listing.resources.values() for resource in part]


def names(listing: Listing) -> set[tuple[str, str]]:
    return {(resource.kind, resource.id) for resource in flatten(listing)}


@pytest.fixture
def left(cloud: StandIn) -> dict[str, str]:
    """All kinds of a killed build at home, and an image of it: IDs by kind."""
    image, snapshot = make_image(cloud, NAME, OURS)
    ec2 = cloud.client("ec2", HOME)
    volume = ec2.create_volume(AvailabilityZone=f"{HOME}a", Size=1, TagSpecifications=tag("volume", BUILD))
    return {**start_build(cloud, BUILD), "image": image, "snapshot": snapshot, "disk": volume["VolumeId"]}


def test_all_kinds_are_found_with_their_version_and_time(
    target: AwsTarget, cloud: StandIn, left: dict[str, str]
) -> None:
    elsewhere = make_image(cloud, NAME, OURS, OTHER)
    listing = target.list_resources("web", "x86_64")
    assert names(listing) == {*left.items(), ("image", elsewhere[0]), ("snapshot", elsewhere[1])}
    assert {resource.version for resource in flatten(listing)} == {"1.0.0"}
    assert set(listing.resources) == {f"{HOME_ACCOUNT}/{HOME}", f"{HOME_ACCOUNT}/{OTHER}"}
    times = {resource.kind: resource.since for resource in flatten(listing)}
    assert times["security group"] == "2024-01-01T00:00:00+00:00"
    now = datetime.now(UTC)
    for kind in {*times} - {"security group"}:
        assert abs((now - datetime.fromisoformat(times[kind])).total_seconds()) < 120, kind


def test_what_is_not_the_builds_of_this_image_is_not_listed(target: AwsTarget, cloud: StandIn) -> None:
    """Machines of stacks have the image's tags as well; other images have names that begin alike."""
    start_build(cloud, OURS, group="stack")
    start_build(cloud, {**BUILD, "bakery:image": "web-proxy"}, group="other-image")
    start_build(cloud, {**BUILD, "bakery:arch": "aarch64"}, group="other-arch")
    start_build(cloud, {"Name": "Packer Builder"}, group="packer_65920080-0000-0000-0000-000000000000")
    make_image(cloud, "web-proxy-1.0.0-x86_64", {**OURS, "bakery:image": "web-proxy"})
    make_image(cloud, "web-1.0.1-x86_64", {})
    assert names(target.list_resources("web", "x86_64")) == set()


def test_packers_copies_without_tags_are_found_by_their_source(target: AwsTarget, cloud: StandIn) -> None:
    """Packer tags copies last. One of an image that somebody else made is not listed."""
    image, snapshot = make_image(cloud, NAME, OURS)
    foreign, _ = make_image(cloud, "web-1.0.1-x86_64", {})
    ec2 = cloud.client("ec2", OTHER)
    for source, name in ((image, NAME), (foreign, "web-1.0.1-x86_64")):
        copy = ec2.copy_image(Name=name, SourceImageId=source, SourceRegion=HOME)["ImageId"]
        available(cloud, copy, OTHER)
    copies = {resource.kind: resource for resource in flatten(target.list_resources("web", "x86_64"))[2:]}
    assert {(kind, one.version, one.location) for kind, one in copies.items()} == {
        ("image", "1.0.0", f"{HOME_ACCOUNT}/{OTHER}"),
        ("snapshot", "1.0.0", f"{HOME_ACCOUNT}/{OTHER}"),
    }
    at_home = [one for one in flatten(target.list_resources("web", "x86_64")) if one.id in (image, snapshot)]
    assert target.remove_resources(at_home) == {}
    assert {one.id for one in flatten(target.list_resources("web", "x86_64"))} == {one.id for one in copies.values()}


def test_all_is_removed_whatever_the_order(target: AwsTarget, cloud: StandIn, left: dict[str, str]) -> None:
    """A group goes after its machine, and a snapshot after its image; again, nothing is an error."""
    resources = flatten(target.list_resources("web", "x86_64"))
    assert len(resources) == 6
    assert target.remove_resources(list(reversed(resources))) == {}
    assert names(target.list_resources("web", "x86_64")) == set()
    assert target.remove_resources(resources) == {}


def test_what_cannot_be_removed_is_named_and_the_rest_goes(
    target: AwsTarget, cloud: StandIn, left: dict[str, str]
) -> None:
    cloud.fault("ec2", "DeregisterImage", error="UnauthorizedOperation", status=403)
    failures = target.remove_resources(flatten(target.list_resources("web", "x86_64")))
    hints = {resource.kind: error.hint for resource, error in failures.items()}
    command = f"aws ec2 deregister-image --region {HOME} --image-id {left['image']} --delete-associated-snapshots"
    assert hints["image"].endswith(f"have an administrator run '{command}'")
    assert "administrator" not in hints["snapshot"], "it was not refused for a missing right"
    assert {resource.kind: error.message for resource, error in failures.items()} == {
        "image": f"cannot deregister {left['image']}",
        "snapshot": f"cannot delete {left['snapshot']}",  # its image uses it
    }
    assert names(target.list_resources("web", "x86_64")) == {
        ("image", left["image"]),
        ("snapshot", left["snapshot"]),
    }
    assert target.remove_resources(flatten(target.list_resources("web", "x86_64"))) == {}


def test_a_region_that_does_not_answer_is_named(target: AwsTarget, cloud: StandIn, left: dict[str, str]) -> None:
    cloud.fault("ec2", "DescribeInstances", region=OTHER, error="AuthFailure", status=401, times=20)
    listing = target.list_resources("web", "x86_64")
    assert set(listing.failures) == {f"{HOME_ACCOUNT}/{OTHER}"}
    assert len(listing.resources[f"{HOME_ACCOUNT}/{HOME}"]) == 6


def test_a_group_that_another_machine_uses_stays(target: AwsTarget, cloud: StandIn) -> None:
    """It is not waited for."""
    build = start_build(cloud, BUILD)
    groups = [one for one in flatten(target.list_resources("web", "x86_64")) if one.kind == "security group"]
    failures = target.remove_resources(groups)
    assert [error.detail for error in failures.values() if "DependencyViolation" in error.detail]
    assert cloud.actions().count("DeleteSecurityGroup") == 1
    assert ("security group", build["security group"]) in names(target.list_resources("web", "x86_64"))


def test_a_machine_that_stays_is_reported(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS may take long: the next run waits again."""
    monkeypatch.setattr(leftovers, "TERMINATED_SECONDS", 0.0)
    build = start_build(cloud, BUILD)
    monkeypatch.setattr(leftovers, "_is_terminated", lambda *_: False)
    resource = Resource("here", "instance", build["instance"], "1.0.0", "")
    failures = leftovers.remove_resources(cloud.client("ec2", HOME), [resource])
    assert "is not terminated after" in failures[resource].message
