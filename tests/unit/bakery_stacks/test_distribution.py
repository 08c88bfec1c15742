"""The distribution stack: nothing public, nothing unencrypted, no right that nobody uses."""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from bakery.catalog import Catalog
from bakery_stacks.config import Environment, Settings

Stack = dict[str, Any]
PUBLISHING = Path(__file__).parents[3] / "scripts" / "bakery" / "publish" / "aws"


@pytest.fixture(scope="session")
def stack(stacks: dict[str, Stack]) -> Stack:
    return stacks["distribution"]


@pytest.fixture
def disposable(synth: Any, catalog: Catalog, environment: Environment) -> Stack:
    """The same stack for a demo, on a stand-in."""
    demo = environment.model_copy(update={"disposable": True})
    found: Stack = synth(Settings(demo, demo.catalog, stand_in=True), catalog)["distribution"]
    return found


def only(stack: Stack, kind: str) -> dict[str, Any]:
    [found] = stack["resource"][kind].values()
    return dict(found)


def address(stack: Stack, kind: str, region: str) -> str:
    """The address of a region's resource."""
    [name] = [name for name in stack["resource"][kind] if name.startswith(f"key-{region}_")]
    return f"{kind}.{name}"


def statements(policy: str) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in json.loads(policy)["Statement"]}


def rights(stack: Stack) -> dict[str, dict[str, Any]]:
    return statements(only(stack, "aws_iam_role_policy")["policy"])


def test_every_region_has_a_rotating_key_and_its_alias(stack: Stack) -> None:
    for region, provider in (("eu-west-1", "aws"), ("us-east-1", "aws.us-east-1")):
        key = stack["resource"]["aws_kms_key"][address(stack, "aws_kms_key", region).split(".")[1]]
        alias = stack["resource"]["aws_kms_alias"][address(stack, "aws_kms_alias", region).split(".")[1]]
        assert key["enable_key_rotation"] is True
        assert key["provider"] == alias["provider"] == provider
        assert alias["name"] == "alias/bakery-prod"
        assert alias["target_key_id"] == f"${{{address(stack, 'aws_kms_key', region)}.key_id}}"


def test_keys_are_for_the_account_its_consumers_and_the_topic(stack: Stack) -> None:
    policies = {
        region: statements(
            stack["resource"]["aws_kms_key"][address(stack, "aws_kms_key", region).split(".")[1]]["policy"]
        )
        for region in ("eu-west-1", "us-east-1")
    }
    home = policies["eu-west-1"]
    assert home["OwnAccount"]["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert home["ConsumersUse"]["Principal"] == {"AWS": ["arn:aws:iam::210987654321:root"]}
    assert home["EventBridgeToTopic"]["Principal"] == {"Service": "events.amazonaws.com"}
    assert "kms:*" not in home["ConsumersUse"]["Action"]
    assert set(policies["us-east-1"]) == set(home) - {"EventBridgeToTopic"}


def test_the_catalog_is_closed_to_the_public(stack: Stack) -> None:
    block = only(stack, "aws_s3_bucket_public_access_block")
    switches = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert all(block[switch] is True for switch in switches)
    assert only(stack, "aws_s3_bucket_ownership_controls")["rule"] == {"object_ownership": "BucketOwnerEnforced"}


def test_the_catalog_is_encrypted_with_the_home_key(stack: Stack) -> None:
    [rule] = only(stack, "aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["bucket_key_enabled"] is True
    assert rule["apply_server_side_encryption_by_default"] == {
        "sse_algorithm": "aws:kms",
        "kms_master_key_id": f"${{{address(stack, 'aws_kms_key', 'eu-west-1')}.arn}}",
    }


def test_the_catalog_keeps_versions_and_speaks_tls(stack: Stack) -> None:
    assert only(stack, "aws_s3_bucket")["bucket"] == "prod-catalog"
    assert only(stack, "aws_s3_bucket_versioning")["versioning_configuration"] == {"status": "Enabled"}
    refusal = statements(only(stack, "aws_s3_bucket_policy")["policy"])["RefusePlainHttp"]
    assert refusal["Effect"] == "Deny"
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_catalog_and_keys_survive_a_destroy(stack: Stack) -> None:
    bucket = only(stack, "aws_s3_bucket")
    assert bucket["force_destroy"] is False
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    for key in stack["resource"]["aws_kms_key"].values():
        assert key["lifecycle"] == {"prevent_destroy": True}
        assert key["deletion_window_in_days"] == 30


def test_a_disposable_environment_can_be_destroyed(disposable: Stack) -> None:
    bucket = only(disposable, "aws_s3_bucket")
    assert bucket["force_destroy"] is True
    assert "lifecycle" not in bucket
    assert all("lifecycle" not in key for key in disposable["resource"]["aws_kms_key"].values())


def test_a_stand_in_without_tls_is_not_shut_out(disposable: Stack) -> None:
    assert "aws_s3_bucket_policy" not in disposable["resource"]


def test_the_topic_is_encrypted_and_hears_our_rules_only(stack: Stack) -> None:
    topic = only(stack, "aws_sns_topic")
    assert topic["name"] == "new-images"
    assert topic["kms_master_key_id"] == f"${{{address(stack, 'aws_kms_key', 'eu-west-1')}.arn}}"
    publish = statements(only(stack, "aws_sns_topic_policy")["policy"])["OurRules"]
    assert publish["Principal"] == {"Service": "events.amazonaws.com"}
    rules = [f"${{aws_cloudwatch_event_rule.{name}.arn}}" for name in stack["resource"]["aws_cloudwatch_event_rule"]]
    assert sorted(publish["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted(rules)


def test_new_images_and_moved_parameters_are_announced(stack: Stack) -> None:
    patterns = [json.loads(rule["event_pattern"]) for rule in stack["resource"]["aws_cloudwatch_event_rule"].values()]
    by_source = {pattern["source"][0]: pattern for pattern in patterns}
    assert by_source["aws.ec2"]["detail"] == {"State": ["available"]}
    assert by_source["aws.ssm"]["detail"]["name"] == [{"prefix": "/bakery/"}]
    targets = stack["resource"]["aws_cloudwatch_event_target"].values()
    assert len({target["rule"] for target in targets}) == len(patterns)


def test_the_publisher_may_do_all_that_publishing_calls(stack: Stack) -> None:
    allowed = {action for statement in rights(stack).values() for action in statement["Action"]}
    missing = _called() - allowed - {"sts:GetCallerIdentity"}  # which needs no right
    assert not missing


def test_the_publisher_may_do_nothing_else_with_images(stack: Stack) -> None:
    services = ("ec2:", "ebs:", "ssm:")
    allowed = {action for statement in rights(stack).values() for action in statement["Action"]}
    unused = {action for action in allowed if action.startswith(services)} - _called() - {"ec2:CreateTags"}
    assert unused <= {"ssm:GetParameter"}  # what Terraform reads with


def test_the_publisher_changes_only_what_it_made(stack: Stack) -> None:
    tagged = {"aws:ResourceTag/bakery:image": "false"}
    for name in ("ChangeOurs", "WriteSnapshots"):
        assert rights(stack)[name]["Condition"]["Null"] == tagged
    assert rights(stack)["StartSnapshots"]["Condition"]["Null"] == {"aws:RequestTag/bakery:image": "false"}


def test_the_publisher_stays_in_its_regions_and_names(stack: Stack) -> None:
    found = rights(stack)
    for name in ("Look", "StartSnapshots", "WriteSnapshots", "MakeImages", "ChangeOurs"):
        assert found[name]["Condition"]["StringEquals"] == {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}
    assert found["Pointers"]["Resource"] == [
        "arn:aws:ssm:eu-west-1:123456789012:parameter/bakery/*",
        "arn:aws:ssm:us-east-1:123456789012:parameter/bakery/*",
    ]
    assert found["Consumers"]["Resource"] == ["arn:aws:iam::210987654321:role/bakery-publisher"]
    [records] = found["CatalogRecords"]["Resource"]
    assert records.endswith(".arn}/bakery/*")


def test_only_looking_is_allowed_on_everything(stack: Stack) -> None:
    everywhere = [name for name, statement in rights(stack).items() if "*" in statement["Resource"]]
    assert everywhere == ["Look"]
    wildcards = [action for statement in rights(stack).values() for action in statement["Action"] if "*" in action]
    assert set(wildcards) <= {"kms:ReEncrypt*", "kms:GenerateDataKey*"}  # both are pairs that AWS documents so


def test_records_are_never_deleted(stack: Stack) -> None:
    assert not any("s3:Delete" in action for found in rights(stack).values() for action in found["Action"])


def test_the_publisher_is_for_the_own_account(stack: Stack) -> None:
    [trust] = json.loads(only(stack, "aws_iam_role")["assume_role_policy"])["Statement"]
    assert trust["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}


def test_outputs_name_what_users_need(stack: Stack) -> None:
    assert sorted(stack["output"]) == ["catalog", "key_alias", "key_arns", "publisher_role_arn", "topic_arn"]


def _called() -> set[str]:
    """IAM actions of all AWS operations that the code of `publish/aws` names."""
    words = set(re.findall(r"""[."](\w+)["(]""", "\n".join(path.read_text() for path in PUBLISHING.glob("*.py"))))
    session = botocore.session.get_session()
    operations = {
        xform_name(operation): f"{service}:{operation}"
        for service in ("ec2", "ebs", "ssm", "sts")
        for operation in session.get_service_model(service).operation_names
    }
    return {action for name, action in operations.items() if name in words}
