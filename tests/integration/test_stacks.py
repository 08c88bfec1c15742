"""The stacks with the real cdktf and Terraform, on the AWS stand-in. Each test starts where the last one ended."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, Record, open_store
from bakery.engine.session import open_catalog
from bakery.host.errors import BakeryError, ConflictError
from bakery.infra import env
from bakery.infra.cdktf import Cdktf
from bakery.infra.terraform import Terraform
from bakery.model.project import Project
from bakery.signing import Keyring
from doubles.aws.client import StandIn, running
from integration.published_images import (
    REGIONS,
    ROOT,
    STATE_BUCKET,
    PublishedImages,
    environment,
    images_of,
    make_state_bucket,
    project,
)
from integration.teardown import destroy, outputs

pytestmark = pytest.mark.integration

HOME = REGIONS[0]
INTERRUPTED = """
resource "terraform_data" "first" {
  input = "saved"
}

resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]

  provisioner "local-exec" {
    command = "touch started; sleep 600"
  }
}
"""


class DeployedStacks:
    """One deployed environment. `records` are the versions of `web`, oldest first."""

    def __init__(self, aws: StandIn, workspace: Path) -> None:
        self.aws = aws
        self.project: Project = project(workspace)
        self.environment = environment(aws)
        self.cdktf = Cdktf(self.project, self.environment, workspace / "cdktf.log")
        self.records: list[Record] = []
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)  # boto3 looks for the endpoint there
            self.shelf = PublishedImages(aws, open_catalog(self.project, "s3://bakery-demo-catalog/catalog"))

    def terraform(self, stack: str) -> Terraform:
        """The folder that cdktf wrote, for plain Terraform."""
        return Terraform(self.project, self.cdktf.folder(stack), self.environment)

    def changes(self, stack: str) -> bool:
        return self.terraform(stack).plan(self.project.workspace / f"{stack}.tfplan")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStacks]:
    """Distribution deployed, one version published and promoted, images deployed."""
    with running() as aws:
        world = DeployedStacks(aws, tmp_path_factory.mktemp("stacks"))
        make_state_bucket(aws)
        world.cdktf.deploy("distribution")
        world.records.append(world.shelf.publish("1.0.0"))
        world.shelf.promote(world.records[0])
        world.cdktf.deploy("images")
        yield world


def test_outputs_say_what_the_catalog_says(world: DeployedStacks) -> None:
    web = outputs(world.terraform("images"))["images"]["web"]["x86_64"]
    assert (web["version"], web["channel"]) == ("1.0.0", "stable")
    assert {region: location["image_id"] for region, location in web["regions"].items()} == images_of(world.records[0])
    assert web["regions"][HOME]["parameter"] == "/bakery/web/x86_64/1.0.0"
    assert web["regions"][HOME]["channel_parameter_version"] == 1


@pytest.mark.parametrize("stack", ["distribution", "images"])
def test_a_second_plan_shows_no_changes(world: DeployedStacks, stack: str) -> None:
    world.terraform(stack).init()
    assert not world.changes(stack)


def test_a_launch_template_follows_the_channel_in_each_region(world: DeployedStacks) -> None:
    assert _templates(world) == {region: (1, found) for region, found in images_of(world.records[0]).items()}


def test_what_was_deployed_is_closed_and_encrypted(world: DeployedStacks) -> None:
    s3, kms = world.aws.client("s3", HOME), world.aws.client("kms", HOME)
    bucket = {"Bucket": "bakery-demo-catalog"}
    assert set(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    [rule] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    key = kms.describe_key(KeyId="alias/bakery-demo")["KeyMetadata"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key["Arn"]
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]


def test_it_works_by_hand(world: DeployedStacks, tmp_path: Path) -> None:
    """With the user's environment and what `bakery env` prints, in a shell."""
    user = {**os.environ, **world.environment}
    exports = env.variables(world.project, user)
    command = ["cdktf", "diff", "images", f"--output={tmp_path / 'cdktf.out'}"]
    done = subprocess.run(command, env={**user, **exports}, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No changes." in done.stdout


def test_a_foreign_lock_is_refused_and_named(world: DeployedStacks) -> None:
    lock = {"ID": "1f6c", "Operation": "OperationTypeApply", "Who": "alice@laptop", "Created": "2026-01-01T00:00:00Z"}
    location = {"Bucket": STATE_BUCKET, "Key": "demo/images.tfstate.tflock"}
    s3 = world.aws.client("s3", HOME)
    s3.put_object(**location, Body=json.dumps(lock).encode())
    try:
        with pytest.raises(ConflictError, match="locked by alice@laptop since 2026-01-01") as caught:
            world.changes("images")
        with pytest.raises(ConflictError):  # cdktf at times drops the end of what Terraform said, and so the name
            world.cdktf.deploy("images")
    finally:
        s3.delete_object(**location)
    assert "force-unlock 1f6c" in caught.value.hint


def test_a_promotion_changes_the_outputs_and_nothing_else(world: DeployedStacks) -> None:
    world.records.append(world.shelf.publish("1.0.1"))
    world.shelf.promote(world.records[1])
    web = world.cdktf.deploy("images")["images"]["images"]["web"]["x86_64"]
    assert web["version"] == "1.0.1"
    assert {region: location["image_id"] for region, location in web["regions"].items()} == images_of(world.records[1])
    assert web["regions"][HOME]["channel_parameter_version"] == 2
    assert _templates(world) == {region: (2, found) for region, found in images_of(world.records[1]).items()}
    assert not world.changes("images")


def test_a_plan_fails_where_aws_and_the_catalog_disagree(world: DeployedStacks) -> None:
    """A version's parameter vanished in one region, and somebody moved the channel by hand in another."""
    world.shelf.remove("us-west-2", "/bakery/web/x86_64/1.0.1")
    old: Any = world.records[0].publication("aws")
    world.shelf.point(
        next(location for location in old.locations if location.region == HOME), "/bakery/web/x86_64/channels/stable"
    )
    with pytest.raises(BakeryError) as caught:
        world.changes("images")
    detail = " ".join(caught.value.detail.split())
    assert "reading SSM Parameter (/bakery/web/x86_64/1.0.1:1)" in detail
    assert "web-x86_64-us-west-2-version" in detail
    assert caught.value.hint == "run 'bakery promote web 1.0.1 stable'"


def test_destroy_leaves_nothing(world: DeployedStacks) -> None:
    """Not even a parameter that vanished keeps a stack from being removed."""
    destroy(world.cdktf, "distribution", "images")
    assert [bucket["Name"] for bucket in world.aws.client("s3", HOME).list_buckets()["Buckets"]] == [STATE_BUCKET]
    aliases = world.aws.client("kms", HOME).list_aliases()["Aliases"]
    assert not [alias for alias in aliases if alias["AliasName"].startswith("alias/bakery")]
    assert not world.aws.client("iam", HOME).list_roles()["Roles"]
    assert not world.aws.client("sns", HOME).list_topics()["Topics"]
    assert not [found for region in REGIONS for found in _described(world, region)]


def test_eager_bindings_give_the_same_bytes(tmp_path: Path) -> None:
    with running() as aws:
        shelf = PublishedImages(aws, Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {})))
        shelf.promote(shelf.publish("1.0.0"))
    lazy, eager = _synth(tmp_path, "lazy"), _synth(tmp_path, "eager", BAKERY_EAGER_BINDINGS="1")
    assert lazy == eager
    assert {"consumer-210987654321/cdk.tf.json", "vault/cdk.tf.json", "runner/cdk.tf.json"} <= set(lazy)
    assert b"ami-" in lazy["images/cdk.tf.json"]


def test_an_interrupted_apply_leaves_the_state_usable(tmp_path: Path) -> None:
    """A time limit interrupts Terraform just as Ctrl-C does."""
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "main.tf").write_text(INTERRUPTED)
    plan = tmp_path / "plan"
    location = project(tmp_path / "workspace")
    Terraform(location, folder, {}).init()
    for seconds in (5, 20, 80, 320):  # a busy machine takes long to come to the slow resource
        Terraform(location, folder, {}).plan(plan)
        with pytest.raises(BakeryError, match="did not end within"):
            Terraform(location, folder, {}, seconds=seconds).apply(plan)
        if (folder / "started").exists():
            break
    assert (folder / "started").exists()
    assert not (folder / ".terraform.tfstate.lock.info").exists()
    assert Terraform(location, folder, {}).plan(plan)
    changes = Terraform(location, folder, {}).show(plan)["resource_changes"]
    assert [found["address"] for found in changes if found["change"]["actions"] != ["no-op"]] == ["terraform_data.slow"]


def _templates(world: DeployedStacks) -> dict[str, tuple[int, str]]:
    """By region: the default version of the template of `web`, and the image in it."""
    templates = outputs(world.terraform("images"))["launch_templates"]["web"]["x86_64"]
    found = {}
    for region in REGIONS:
        [template] = _described(world, region)
        assert templates[region] == {"id": template["LaunchTemplateId"], "version": template["DefaultVersionNumber"]}
        ec2, which = world.aws.client("ec2", region), {"LaunchTemplateId": template["LaunchTemplateId"]}
        [data] = ec2.describe_launch_template_versions(**which, Versions=["$Default"])["LaunchTemplateVersions"]
        assert data["LaunchTemplateData"]["BlockDeviceMappings"][0]["DeviceName"] == "/dev/xvda"
        found[region] = template["DefaultVersionNumber"], data["LaunchTemplateData"]["ImageId"]
    return found


def _described(world: DeployedStacks, region: str) -> list[dict[str, Any]]:
    templates: list[dict[str, Any]] = world.aws.client("ec2", region).describe_launch_templates()["LaunchTemplates"]
    return templates


def _synth(folder: Path, name: str, **switch: str) -> dict[str, bytes]:
    """The program's output by file, run as cdktf runs it."""
    chosen = {"BAKERY_CATALOG": str(folder / "catalog"), "BAKERY_WORKSPACE": str(folder), **switch}
    chosen["CDKTF_OUTDIR"] = str(folder / name)
    subprocess.run([sys.executable, ROOT / "cdktf" / "main.py"], env={**os.environ, **chosen}, check=True, timeout=300)
    stacks = folder / name / "stacks"
    return {str(path.relative_to(stacks)): path.read_bytes() for path in stacks.rglob("cdk.tf.json")}
