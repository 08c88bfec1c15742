"""Distribution and the stack of a consumer account, deployed on the AWS stand-in. Tests build on each other."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bakery.catalog import open_store
from bakery.clouds.aws.session import Accounts, connect
from bakery.host.errors import BakeryError
from bakery.model.documents import Location
from doubles.aws.client import running
from integration.published_images import ACCOUNT, REGIONS, make_state_bucket
from integration.teardown import destroy, outputs
from integration.test_stacks import DeployedStacks

pytestmark = pytest.mark.integration

HOME, REPLICA = REGIONS[0], "us-west-2"
CONSUMER = "210987654321"
STACK = f"consumer-{CONSUMER}"
SERVICE = "autoscaling.amazonaws.com"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStacks]:
    """An account with a bucket for states, and nothing else."""
    with running() as aws:
        world = DeployedStacks(aws, tmp_path_factory.mktemp("distribution"))
        make_state_bucket(aws)
        yield world


def test_a_consumer_without_the_service_role_is_told_what_to_run(world: DeployedStacks) -> None:
    """By Terraform itself: of a run that ends at once, cdktf at times drops the end of what Terraform said."""
    world.cdktf.deploy("distribution")
    world.terraform(STACK).init()
    with pytest.raises(BakeryError) as caught:
        world.changes(STACK)
    assert "aws iam create-service-linked-role" in " ".join(caught.value.detail.split())
    assert not world.aws.client("iam", account=CONSUMER).list_roles()["Roles"]


def test_a_consumer_is_deployed_with_a_role_there(world: DeployedStacks) -> None:
    iam = world.aws.client("iam", account=CONSUMER)
    iam.create_service_linked_role(AWSServiceName=SERVICE)
    outputs = world.cdktf.deploy("distribution", STACK)[STACK]
    arns = {role["RoleName"]: role["Arn"] for role in iam.list_roles()["Roles"]}
    assert outputs["publisher_role_arn"] == arns["bakery-publisher"]
    assert outputs["tagger_role_arn"] == arns["bakery-tagger"]
    assert outputs["reader_role_arn"] == arns["bakery-demo-reader"]
    own = {role["RoleName"] for role in world.aws.client("iam").list_roles()["Roles"]}
    assert own == {"bakery-demo-publisher", "bakery-demo-replication"}


@pytest.mark.parametrize("stack", ["distribution", STACK])
def test_a_second_plan_shows_no_changes(world: DeployedStacks, stack: str) -> None:
    world.terraform(stack).init()
    assert not world.changes(stack)


def test_auto_scaling_of_the_consumer_may_use_every_regions_key(world: DeployedStacks) -> None:
    grants = outputs(world.terraform(STACK))["grant_ids"]
    for region in REGIONS:
        kms = world.aws.client("kms", region)
        key = kms.describe_key(KeyId="alias/bakery-demo")["KeyMetadata"]["Arn"]
        [grant] = kms.list_grants(KeyId=key)["Grants"]
        assert grant["GrantId"] == grants[region]
        assert grant["GranteePrincipal"].startswith(f"arn:aws:iam::{CONSUMER}:role/aws-service-role/{SERVICE}/")


def test_a_consumer_can_grant_to_nobody_else(world: DeployedStacks) -> None:
    kms = world.aws.client("kms", HOME, CONSUMER)
    key = outputs(world.terraform("distribution"))["key_arns"][HOME]
    with pytest.raises(ClientError, match="AccessDenied"):
        kms.create_grant(KeyId=key, GranteePrincipal=f"arn:aws:iam::{CONSUMER}:root", Operations=["Decrypt"])


def test_publishing_finds_the_role_that_it_assumes(world: DeployedStacks, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, from the definition's default: the stand-in checks no trust, so the name is what is seen here."""
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    accounts = Accounts(connect(HOME), "bakery-publisher", HOME)
    sites, failures = accounts.connect([Location(CONSUMER, region) for region in REGIONS])
    assert not failures
    assert sorted(sites) == sorted(f"{CONSUMER}/{region}" for region in REGIONS)


def test_nothing_can_be_made_public(world: DeployedStacks) -> None:
    for region in REGIONS:
        ec2 = world.aws.client("ec2", region)
        assert ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "block-new-sharing"
        assert ec2.get_snapshot_block_public_access_state()["State"] == "block-all-sharing"


def test_the_catalog_is_copied_to_another_region(world: DeployedStacks) -> None:
    s3 = world.aws.client("s3", HOME)
    [rule] = s3.get_bucket_replication(Bucket="bakery-demo-catalog")["ReplicationConfiguration"]["Rules"]
    assert rule["Destination"]["Bucket"] == "arn:aws:s3:::bakery-demo-catalog-replica"
    copy = {"Bucket": "bakery-demo-catalog-replica"}
    assert s3.get_bucket_location(**copy)["LocationConstraint"] == REPLICA
    assert s3.get_bucket_versioning(**copy)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(**copy)["PublicAccessBlockConfiguration"].values()) == {True}


def test_nobody_changes_what_the_catalog_holds(world: DeployedStacks, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all rights of the account: the bucket itself refuses, and locks what comes in."""
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    s3, key = world.aws.client("s3", HOME), "catalog/images/web/x86_64/versions/1.0.0/000000.json"
    store = open_store("s3://bakery-demo-catalog/catalog")
    assert store.create(key.removeprefix("catalog/"), b"first")
    assert not store.create(key.removeprefix("catalog/"), b"second")
    place = {"Bucket": "bakery-demo-catalog", "Key": key}
    version = s3.head_object(**place)["VersionId"]
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: s3.put_object(**place, Body=b"second"),
        lambda: s3.copy_object(**place, CopySource=f"bakery-demo-catalog/{key}", MetadataDirective="REPLACE"),
        lambda: s3.create_multipart_upload(**place),
        lambda: s3.delete_object(**place),
        lambda: s3.delete_object(**place, VersionId=version, BypassGovernanceRetention=True),
    )
    for attempt in attempts:
        with pytest.raises(ClientError, match="403"):
            attempt()
    assert store.read(key.removeprefix("catalog/")) == b"first"
    assert s3.head_object(**place)["ObjectLockMode"] == "GOVERNANCE"


def test_new_and_withdrawn_images_reach_the_topic(world: DeployedStacks) -> None:
    events = world.aws.client("events", HOME)
    topic = outputs(world.terraform("distribution"))["topic_arn"]
    rules = [rule["Name"] for rule in events.list_rules()["Rules"]]
    assert len(rules) == 4
    for rule in rules:
        assert [target["Arn"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]] == [topic]


def test_destroy_leaves_nothing(world: DeployedStacks) -> None:
    destroy(world.cdktf, "distribution", STACK)
    left: list[Any] = [
        role["RoleName"]
        for account in (ACCOUNT, CONSUMER)
        for role in world.aws.client("iam", account=account).list_roles()["Roles"]
    ]
    assert left == ["AWSServiceRoleForAutoScaling"]  # of the account, not of the stack
    assert len(world.aws.client("s3", HOME).list_buckets()["Buckets"]) == 1
    for region in REGIONS:
        assert world.aws.client("ec2", region).get_snapshot_block_public_access_state()["State"] == "unblocked"
