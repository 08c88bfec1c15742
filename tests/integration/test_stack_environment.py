"""A whole environment: network, distribution, Vault cluster and GitLab runner, which read each other's outputs.

With the real cdktf, Terraform and AWS provider, on the AWS stand-in. Each test starts where the last one ended.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.engine.session import open_catalog
from bakery.host.errors import BakeryError
from bakery.infra.cdktf import Cdktf
from bakery.infra.terraform import Terraform
from doubles.aws.client import StandIn, running
from integration.published_images import (
    REGIONS,
    STATE_BUCKET,
    PublishedImages,
    environment,
    images_of,
    make_state_bucket,
    project,
)
from integration.teardown import destroy

pytestmark = pytest.mark.integration

HOME = REGIONS[0]
STACKS = ("network", "distribution", "vault", "runner")
IMAGES = ("vault", "gitlab-runner")


class DeployedEnvironment:
    """All stacks deployed. `shelves` and `image_ids` are by the image that hosts boot from."""

    def __init__(self, aws: StandIn, workspace: Path) -> None:
        self.aws = aws
        self.project = project(workspace)
        catalog = str(workspace / "catalog")
        self.environment = {**environment(aws), "BAKERY_CATALOG": catalog}
        self.cdktf = Cdktf(self.project, self.environment, workspace / "cdktf.log")
        self.shelves = {name: PublishedImages(aws, open_catalog(self.project, catalog), name) for name in IMAGES}
        self.image_ids: dict[str, str] = {}
        self.outputs: dict[str, Any] = {}
        self.refusal: BakeryError | None = None

    def client(self, service: str) -> Any:
        return self.aws.client(service, HOME)

    def terraform(self, stack: str) -> Terraform:
        return Terraform(self.project, self.cdktf.folder(stack), self.environment)

    def release(self, image: str, version: str) -> None:
        """A new version in all regions, and the channel at it."""
        record = self.shelves[image].publish(version)
        self.shelves[image].promote(record)
        self.image_ids[image] = images_of(record)[HOME]

    def group(self, name: str) -> dict[str, Any]:
        """An Auto Scaling group, and what its launch template says."""
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[f"bakery-demo-{name}"])
        [group] = found["AutoScalingGroups"]
        template = group["LaunchTemplate"]
        [version] = self.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
        )["LaunchTemplateVersions"]
        return {**group, "data": version["LaunchTemplateData"]}

    def plan(self, stack: str) -> dict[str, Any]:
        """Address -> what a plan would do to it."""
        saved = self.project.workspace / f"{stack}.tfplan"
        self.terraform(stack).plan(saved)
        changes = self.terraform(stack).show(saved)["resource_changes"]
        return {one["address"]: one["change"] for one in changes if one["change"]["actions"] != ["no-op"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedEnvironment]:
    with running() as aws:
        world = DeployedEnvironment(aws, tmp_path_factory.mktemp("vault"))
        make_state_bucket(aws)
        world.cdktf.deploy("network")
        world.terraform("vault").init()
        with pytest.raises(BakeryError) as caught:
            world.plan("vault")
        world.refusal = caught.value
        for image in IMAGES:
            world.release(image, "1.0.0")
        world.outputs = world.cdktf.deploy(*STACKS)
        yield world


def test_without_the_image_nothing_of_vault_is_made(world: DeployedEnvironment) -> None:
    assert world.refusal
    assert world.refusal.where == "cdktf/environments/demo.yaml:23"
    assert world.refusal.message.startswith("channel stable has no image vault (x86_64) in us-east-1: the catalog has")
    assert "'bakery promote vault VERSION stable'" in world.refusal.hint


@pytest.mark.parametrize("stack", STACKS)
def test_a_second_plan_shows_no_changes(world: DeployedEnvironment, stack: str) -> None:
    world.terraform(stack).init()
    assert world.plan(stack) == {}


def test_the_network_is_private(world: DeployedEnvironment) -> None:
    subnets = world.client("ec2").describe_subnets(SubnetIds=world.outputs["network"]["subnet_ids"])["Subnets"]
    assert sorted(subnet["AvailabilityZone"] for subnet in subnets) == ["us-east-1a", "us-east-1b", "us-east-1c"]
    tables = world.client("ec2").describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": world.outputs["network"]["subnet_ids"]}]
    )["RouteTables"]
    ways = [route for table in tables for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    assert len(ways) == 3
    assert all(route["NatGatewayId"].startswith("nat-") for route in ways)


def test_nodes_start_from_the_channels_image_with_their_settings(world: DeployedEnvironment) -> None:
    group = world.group("vault")
    assert (group["MinSize"], group["MaxSize"], group["HealthCheckType"]) == (3, 3, "EC2")
    assert [process["ProcessName"] for process in group["SuspendedProcesses"]] == ["AZRebalance"]
    assert group["data"]["ImageId"] == world.image_ids["vault"]
    text = base64.b64decode(group["data"]["UserData"]).decode()
    [settings, _] = json.loads(text.partition("\n")[2])["write_files"]
    assert json.loads(settings["content"])["snapshots"]["bucket"] == "bakery-demo-vault-snapshots"


def test_the_seal_key_exists_by_the_name_that_nodes_use(world: DeployedEnvironment) -> None:
    key = world.client("kms").describe_key(KeyId="alias/bakery-demo-vault-seal")["KeyMetadata"]
    assert key["Arn"] == world.outputs["vault"]["seal_key_arn"]
    assert world.client("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]


def test_snapshots_are_locked(world: DeployedEnvironment) -> None:
    lock = world.client("s3").get_object_lock_configuration(Bucket="bakery-demo-vault-snapshots")
    rule = lock["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert (rule["Mode"], rule["Days"]) == ("GOVERNANCE", 30)


def test_runners_are_in_the_private_subnets(world: DeployedEnvironment) -> None:
    for name in ("runner-manager", "runner-workers"):
        group = world.group(name)
        assert set(group["VPCZoneIdentifier"].split(",")) == set(world.outputs["network"]["subnet_ids"])
        assert group["data"]["ImageId"] == world.image_ids["gitlab-runner"]


@pytest.mark.parametrize(("stack", "image", "templates"), [("vault", "vault", 1), ("runner", "gitlab-runner", 2)])
def test_a_new_image_is_a_change_that_shows(world: DeployedEnvironment, stack: str, image: str, templates: int) -> None:
    world.release(image, "1.0.1")
    world.cdktf.synth()
    changes = world.plan(stack)
    after = [change["after"] for address, change in changes.items() if address.startswith("aws_launch_template.")]
    assert [found["image_id"] for found in after] == [world.image_ids[image]] * templates
    assert {found["description"] for found in after} == {f"{image} 1.0.1"}
    kinds = {address.partition(".")[0] for address in changes}
    assert kinds == {"aws_launch_template", "aws_autoscaling_group"}
    assert all(change["actions"] == ["update"] for change in changes.values())


def test_destroy_leaves_nothing(world: DeployedEnvironment) -> None:
    # A revoked firewall rule is answered with NotFound now and then, as if the provider had asked twice. As with AWS,
    # the same command again goes on with what is left.
    try:
        destroy(world.cdktf, *reversed(STACKS))
    except BakeryError as error:
        assert "deleting VPC Security Group Rule" in error.detail
        destroy(world.cdktf, *reversed(STACKS))
    assert not world.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert not world.client("elbv2").describe_load_balancers()["LoadBalancers"]
    vpcs = world.client("ec2").describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.20.0.0/16"]}])["Vpcs"]
    assert not vpcs
    assert not world.client("iam").list_roles()["Roles"]
    assert [bucket["Name"] for bucket in world.client("s3").list_buckets()["Buckets"]] == [STATE_BUCKET]
