"""The runner stack with the real Terraform, on the AWS stand-in. Each test starts where the last one ended."""

import base64
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Record
from bakery.engine.session import open_catalog
from bakery.infra.terraform import Terraform
from bakery.model.project import Project
from bakery_stacks import channel_images, config
from bakery_stacks.config import Settings
from bakery_stacks.outputs import DistributionOutputs, NetworkOutputs
from bakery_stacks.program import new_app, synth
from bakery_stacks.stacks.runner.settings import Runner
from bakery_stacks.stacks.runner.stack import RunnerStack, StackInputs
from doubles.aws.client import StandIn, running
from doubles.metadata import serving
from integration.published_images import (
    ACCOUNT,
    REGIONS,
    ROOT,
    STATE_BUCKET,
    PublishedImages,
    environment,
    images_of,
    make_state_bucket,
    project,
    validate,
)
from integration.teardown import destroy_one

pytestmark = pytest.mark.integration

HOME = REGIONS[0]
TITLE = "bakery-demo-runner"
TOKEN = "glrt-for-the-test"
SECTION = Runner.model_validate(
    {
        "gitlab_url": "https://gitlab.example.com",
        "token_parameter": "/demo/runner/token",
        "workers": {
            "spot": {"instance_types": ("m6i.large", "m6a.large")},
            "max_instances": 3,
            "login": {"public_key": "ssh-ed25519 AAAAC3Nza", "private_key_parameter": "/demo/runner/worker-key"},
        },
        "docker": {"image": "alpine"},
        "bakes": {
            "by": "oidc",
            "oidc": {"subjects": ({"project": "platform/images", "ref": "main"},)},
        },
    }
)
ROLES = ROOT / "ansible" / "roles"


class DeployedRunner:
    """A deployed runner in the default network of an empty account."""

    def __init__(self, aws: StandIn, workspace: Path) -> None:
        self.aws = aws
        self.workspace = workspace
        self.project: Project = project(workspace)
        self.catalog = open_catalog(self.project, "")
        self.shelf = PublishedImages(aws, self.catalog, "gitlab-runner")
        self.records: list[Record] = []
        subnets = aws.client("ec2", HOME).describe_subnets()["Subnets"]
        self._network = NetworkOutputs(subnets[0]["VpcId"], "172.31.0.0/16", [found["SubnetId"] for found in subnets])

    def release(self, version: str) -> None:
        self.records.append(self.shelf.publish(version))
        self.shelf.promote(self.records[-1])

    def synth(self, name: str) -> Path:
        """The stack as it is written for what the catalog says now."""
        chosen = config.load_settings(ROOT / "cdktf" / "environments", {"BAKERY_ENVIRONMENT": "demo"})
        settings = Settings(chosen.environment, chosen.catalog, stand_in=True)
        images = channel_images.read_channel_images(self.catalog, settings.environment)
        key = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/images"
        others = DistributionOutputs({HOME: key}, "arn:aws:s3:::catalog", "arn:topic")
        outdir = self.workspace / name
        app = new_app(outdir)
        RunnerStack(app, settings, SECTION, StackInputs(self._network, others, images))
        synth(app)
        return outdir / "stacks" / "runner"

    def terraform(self) -> Terraform:
        return Terraform(self.project, self.synth("cdktf.out"), environment(self.aws))

    def apply(self) -> None:
        terraform, plan = self.terraform(), self.workspace / "plan"
        terraform.init()
        assert terraform.plan(plan)
        terraform.apply(plan)

    def group(self, name: str) -> dict[str, Any]:
        found = self.aws.client("autoscaling", HOME).describe_auto_scaling_groups(
            AutoScalingGroupNames=[f"{TITLE}-{name}"]
        )
        [group] = found["AutoScalingGroups"]
        return dict(group)

    def scale(self, count: int) -> None:
        """As the fleeting plugin does."""
        self.aws.client("autoscaling", HOME).set_desired_capacity(
            AutoScalingGroupName=f"{TITLE}-workers", DesiredCapacity=count
        )

    def template(self, name: str) -> dict[str, Any]:
        """The newest version of a launch template."""
        found = self.aws.client("ec2", HOME).describe_launch_template_versions(
            LaunchTemplateName=f"{TITLE}-{name}", Versions=["$Latest"]
        )
        return dict(found["LaunchTemplateVersions"][0])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedRunner]:
    with running() as aws:
        world = DeployedRunner(aws, tmp_path_factory.mktemp("runner"))
        make_state_bucket(aws)
        world.release("1.0.0")
        world.apply()
        yield world


def test_the_provider_takes_the_stack(world: DeployedRunner) -> None:
    validate(world.synth("validated"), world.project)


def test_a_second_plan_shows_no_changes(world: DeployedRunner) -> None:
    assert not world.terraform().plan(world.workspace / "plan")


def test_there_is_one_manager_and_no_worker(world: DeployedRunner) -> None:
    manager, workers = world.group("manager"), world.group("workers")
    assert [manager[name] for name in ("MinSize", "MaxSize", "DesiredCapacity")] == [1, 1, 1]
    assert [workers[name] for name in ("MinSize", "MaxSize", "DesiredCapacity")] == [0, 3, 0]
    assert len(manager["Instances"]) == 1
    assert workers["Instances"] == []


def test_only_the_manager_ends_workers(world: DeployedRunner) -> None:
    workers = world.group("workers")
    assert workers["NewInstancesProtectedFromScaleIn"]
    assert [process["ProcessName"] for process in workers["SuspendedProcesses"]] == ["AZRebalance"]


def test_machines_are_made_of_our_image_and_closed(world: DeployedRunner) -> None:
    for name in ("manager", "workers"):
        data = world.template(name)["LaunchTemplateData"]
        assert data["ImageId"] == images_of(world.records[0])[HOME]
        assert (data["MetadataOptions"]["HttpTokens"], data["MetadataOptions"]["HttpPutResponseHopLimit"]) == (
            "required",
            1,
        )
        [disk] = data["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"]


def test_nothing_comes_in_but_the_manager(world: DeployedRunner) -> None:
    groups = world.aws.client("ec2", HOME).describe_security_groups()["SecurityGroups"]
    found = {group["GroupName"]: group for group in groups if group["GroupName"].startswith(TITLE)}
    assert found[f"{TITLE}-manager"]["IpPermissions"] == []
    [way_in] = found[f"{TITLE}-workers"]["IpPermissions"]
    assert way_in["FromPort"] == 22
    assert [pair["GroupId"] for pair in way_in["UserIdGroupPairs"]] == [found[f"{TITLE}-manager"]["GroupId"]]
    assert way_in["IpRanges"] == []


def test_what_the_manager_scales_is_left_alone(world: DeployedRunner) -> None:
    world.scale(2)
    assert not world.terraform().plan(world.workspace / "plan")
    first, second = world.group("workers")["Instances"]
    assert first["ProtectedFromScaleIn"]
    for instance in (first, second):
        world.aws.client("autoscaling", HOME).terminate_instance_in_auto_scaling_group(
            InstanceId=instance["InstanceId"], ShouldDecrementDesiredCapacity=True
        )
    assert world.group("workers")["DesiredCapacity"] == 0


def test_the_manager_gets_its_secrets_at_boot(world: DeployedRunner, tmp_path: Path) -> None:
    """What cloud-init and the image's programs do, with what the stack deployed and the real programs of the image."""
    told = base64.b64decode(world.template("manager")["LaunchTemplateData"]["UserData"]).decode()
    assert TOKEN not in told
    for file in json.loads(told.removeprefix("#cloud-config\n"))["write_files"]:
        (tmp_path / Path(file["path"]).name).write_text(file["content"])
    for name, value in (("token", TOKEN), ("worker-key", "the key\n")):
        put = {"Name": f"/demo/runner/{name}", "Value": value, "Type": "SecureString", "KeyId": f"alias/{TITLE}"}
        world.aws.client("ssm", HOME).put_parameter(**put)
    fetch = tmp_path / "bin" / "bakery-fetch-parameter"
    fetch.parent.mkdir()
    fetch.write_text(f'#!/bin/sh\nexec {sys.executable} {ROLES}/fetch_parameter/files/bakery-fetch-parameter.py "$@"\n')
    fetch.chmod(0o755)
    with serving(HOME) as metadata:
        told_by = {"AWS_ENDPOINT_URL": world.aws.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
        path = {"PATH": f"{fetch.parent}:{os.environ['PATH']}"}
        configure = ROLES / "gitlab_runner" / "files" / "gitlab-runner-configure.sh"
        subprocess.run(["sh", configure, tmp_path], env={**told_by, **path}, check=True, timeout=60)
    [runner] = tomllib.loads((tmp_path / "config.toml").read_text())["runners"]
    assert runner["token"] == TOKEN
    assert runner["autoscaler"]["plugin_config"]["name"] == world.group("workers")["AutoScalingGroupName"]
    assert (tmp_path / "worker.key").read_text() == "the key\n"


def test_no_secret_is_in_the_state(world: DeployedRunner) -> None:
    state = world.aws.client("s3", HOME).get_object(Bucket=STATE_BUCKET, Key="demo/runner.tfstate")
    text = state["Body"].read().decode()
    assert "/demo/runner/token" in text
    assert TOKEN not in text


def test_cache_and_registry_are_encrypted_and_clean_up(world: DeployedRunner) -> None:
    s3, ecr = world.aws.client("s3", HOME), world.aws.client("ecr", HOME)
    bucket = {"Bucket": f"{TITLE}-cache-{ACCOUNT}"}
    key = world.aws.client("kms", HOME).describe_key(KeyId=f"alias/{TITLE}")["KeyMetadata"]["Arn"]
    [rule] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key
    [expiry] = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert expiry["Expiration"]["Days"] == 14
    assert set(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    [repository] = ecr.describe_repositories(repositoryNames=[TITLE])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}


def test_jobs_of_one_branch_may_bake(world: DeployedRunner) -> None:
    role = world.aws.client("iam", HOME).get_role(RoleName="bakery-demo-bake")["Role"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "gitlab.example.com:aud": ["sts.amazonaws.com/bake-private", "sts.amazonaws.com/bake-public"],
        "gitlab.example.com:sub": ["project_path:platform/images:ref_type:branch:ref:main"],
    }


def test_a_new_image_is_a_new_version_of_the_templates(world: DeployedRunner) -> None:
    """Which replaces the manager; workers that run are left alone."""
    before = {name: world.template(name)["VersionNumber"] for name in ("manager", "workers")}
    [old] = world.group("manager")["Instances"]
    world.scale(1)
    [busy] = world.group("workers")["Instances"]
    world.release("1.0.1")
    terraform, plan = world.terraform(), world.workspace / "plan"
    assert terraform.plan(plan)
    changed = [found for found in terraform.show(plan)["resource_changes"] if found["change"]["actions"] == ["update"]]
    assert sorted(found["type"] for found in changed) == ["aws_autoscaling_group"] * 2 + ["aws_launch_template"] * 2
    terraform.apply(plan)
    for name, number in before.items():
        template = world.template(name)
        assert template["VersionNumber"] == number + 1
        assert template["LaunchTemplateData"]["ImageId"] == images_of(world.records[1])[HOME]
    [new] = world.group("manager")["Instances"]
    assert new["InstanceId"] != old["InstanceId"]
    assert world.group("manager")["LaunchTemplate"]["Version"] == str(before["manager"] + 1)
    assert [found["InstanceId"] for found in world.group("workers")["Instances"]] == [busy["InstanceId"]]


def test_destroy_leaves_nothing(world: DeployedRunner, tmp_path: Path) -> None:
    """Not even a worker, which nobody but the manager may end otherwise, or what jobs cached."""
    assert world.group("workers")["Instances"]
    world.aws.client("s3", HOME).put_object(Bucket=f"{TITLE}-cache-{ACCOUNT}", Key="cached", Body=b"x")
    destroy_one(world.terraform(), tmp_path / "plan")
    assert [bucket["Name"] for bucket in world.aws.client("s3", HOME).list_buckets()["Buckets"]] == [
        "bakery-demo-state"
    ]
    assert not world.aws.client("autoscaling", HOME).describe_auto_scaling_groups()["AutoScalingGroups"]
    assert not world.aws.client("ecr", HOME).describe_repositories()["repositories"]
    assert not world.aws.client("iam", HOME).list_roles()["Roles"]
    assert not world.aws.client("logs", HOME).describe_log_groups()["logGroups"]
