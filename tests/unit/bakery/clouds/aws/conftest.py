"""A version that is published on the AWS stand-in."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.definitions import Definition
from bakery.model import tags
from bakery.model.documents import ImageLocation, Publication
from doubles.aws.client import HOME_ACCOUNT, StandIn, available, point_environment, register

CONSUMER = "210987654321"
HOME, SECOND, THIRD = REGIONS = ("eu-central-1", "us-east-1", "ap-southeast-2")
SHA256 = "5a" * 32


@pytest.fixture
def aws(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """An empty cloud that the environment points at, and waits fifty times as fast as in life."""
    aws_server.reset()
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    point_environment(aws_server, monkeypatch)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    return aws_server


@dataclass(frozen=True)
class Published:
    """A version with an image in each region, shared with the consumer, which has tags of its own for it."""

    aws: StandIn
    publication: Publication

    @property
    def target(self) -> AwsTarget:
        """A target as a new run has it."""
        definition = Definition.model_validate(
            {
                "name": "web",
                "description": "A web server",
                "os": "debian-12",
                "arch": "x86_64",
                "version": "1.0",
                "base": {"qemu": {"image": "debian-12"}},
                "targets": ("aws",),
                "distribution": {"aws": {"regions": REGIONS, "accounts": (CONSUMER,)}},
            }
        )
        return AwsTarget(definition)

    def location(self, region: str) -> ImageLocation:
        """The location of the own image in a region."""
        locations = (*self.publication.locations, *self.publication.withdrawn)
        return next(one for one in locations if one.owned and one.region == region)

    def image(self, region: str) -> dict[str, Any]:
        """The image as its owner sees it; empty if it is gone."""
        ids = [{"Name": "image-id", "Values": [self.location(region).id]}]
        answer = self.aws.client("ec2", region).describe_images(Filters=ids, Owners=["self"], IncludeDisabled=True)
        return next(iter(answer["Images"]), {})

    def has_snapshot(self, region: str) -> bool:
        ids = [{"Name": "snapshot-id", "Values": [self.location(region).snapshot]}]
        return bool(self.aws.client("ec2", region).describe_snapshots(Filters=ids)["Snapshots"])

    def shares(self, region: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """The permissions of the image and of its snapshot."""
        ec2, location = self.aws.client("ec2", region), self.location(region)
        image = ec2.describe_image_attribute(ImageId=location.id, Attribute="launchPermission")
        snapshot = ec2.describe_snapshot_attribute(SnapshotId=location.snapshot, Attribute="createVolumePermission")
        return image["LaunchPermissions"], snapshot["CreateVolumePermissions"]

    def calls(self, *actions: str) -> list[tuple[str, str]]:
        """The calls of these actions: action and region, oldest first."""
        calls = self.aws.control("GET", "calls")
        return [(call["action"], call["region"]) for call in calls if call["action"] in actions]


@pytest.fixture
def publish(aws: StandIn) -> Callable[..., Published]:
    """Publish version 1.0.0 without a disk; the images in `withdrawn` regions are not wanted any more."""

    def make(regions: tuple[str, ...] = REGIONS, withdrawn: tuple[str, ...] = ()) -> Published:
        own = {region: _make_image(aws, region) for region in (*regions, *withdrawn)}
        consumers = [
            ImageLocation(CONSUMER, region, own[region].id, own[region].snapshot, owned=False) for region in regions
        ]
        locations = (*(own[region] for region in regions), *consumers)
        gone = tuple(own[region] for region in withdrawn)
        publication = Publication("web", "x86_64", "1.0.0", SHA256, "aws", locations, withdrawn=gone)
        return Published(aws, publication)

    return make


def _make_image(aws: StandIn, region: str) -> ImageLocation:
    publication = Publication("web", "x86_64", "1.0.0", SHA256, "aws", ())
    made_tags = [{"Key": key, "Value": value} for key, value in tags.of_publication(publication).items()]
    name = "web-1.0.0-x86_64"
    image_id = register(aws, name, region, TagSpecifications=[{"ResourceType": "image", "Tags": made_tags}])
    snapshot = available(aws, image_id, region)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2 = aws.client("ec2", region)
    ec2.create_tags(Resources=[snapshot], Tags=made_tags)
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": CONSUMER}]})
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=[CONSUMER]
    )
    aws.client("ec2", region, CONSUMER).create_tags(Resources=[image_id], Tags=made_tags)
    return ImageLocation(HOME_ACCOUNT, region, image_id, snapshot)
