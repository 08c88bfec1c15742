"""The distribution stack: nothing public, nothing unencrypted, no right that nobody uses."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import botocore.session
import pytest
from botocore import xform_name

from bakery.catalog import Catalog
from bakery.model import tags
from bakery.model.definition import ImageDefinition
from bakery.model.version import ImageVersion
from bakery_stacks.blocks.auto_scaling import GRANTED
from bakery_stacks.blocks.publisher import DESCRIBE_USERS
from bakery_stacks.config import Environment, Settings
from bakery_stacks.stacks.distribution.guards import RESOURCE_TAG
from unit.bakery_stacks.iam import Resource, allows

Stack = dict[str, Any]
# By the block that makes them: name of the bucket, and its region.
BUCKETS = {"catalog-bucket": ("prod-catalog", "eu-west-1"), "catalog-replica": ("prod-catalog-replica", "us-east-1")}
LIFE = ("ec2:DisableImage", "ec2:EnableImage", "ec2:EnableImageDeprecation", "ec2:DisableImageDeprecation")
PUBLISHING = Path(__file__).parents[5] / "scripts" / "bakery" / "clouds" / "aws"


@pytest.fixture(scope="session")
def stack(stacks: dict[str, Stack]) -> Stack:
    return stacks["distribution"]


@pytest.fixture
def disposable(synth: Any, catalog: Catalog, environment: Environment) -> Stack:
    """The same stack for a demo, on a stand-in."""
    demo = environment.model_copy(update={"disposable": True})
    found: Stack = synth(Settings(demo, demo.catalog, stand_in=True), catalog)["distribution"]
    return found


def only(stack: Stack, kind: str, of: str = "") -> dict[str, Any]:
    """The one resource of its kind, or the one in the block `of`."""
    [found] = [value for name, value in stack["resource"][kind].items() if name.startswith(of)]
    return dict(found)


def address(stack: Stack, kind: str, region: str) -> str:
    """The address of a region's resource."""
    [name] = [name for name in stack["resource"][kind] if name.startswith(f"key-{region}_")]
    return f"{kind}.{name}"


def statements(policy: str) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in json.loads(policy)["Statement"]}


def rights(stack: Stack, of: str = "publisher") -> dict[str, dict[str, Any]]:
    return statements(only(stack, "aws_iam_role_policy", of)["policy"])


def allowed_actions(stack: Stack) -> set[str]:
    """The actions of the publisher's statements that allow."""
    allowing = [statement for statement in rights(stack).values() if statement["Effect"] == "Allow"]
    return {action for statement in allowing for action in statement["Action"]}


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
    own = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    for allowed in (home["OwnGroupsUse"], home["OwnGroupsStart"]):
        assert (allowed["Principal"], allowed["Condition"]["ArnEquals"]) == ({"AWS": "*"}, {"aws:PrincipalArn": own})
    assert home["OwnGroupsStart"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    assert "kms:*" not in home["ConsumersUse"]["Action"]
    assert "kms:RevokeGrant" not in json.dumps(policies)  # a right on other accounts' grants as well
    assert set(policies["us-east-1"]) == set(home) - {"EventBridgeToTopic"}


@pytest.mark.parametrize("of", BUCKETS)
def test_the_catalog_is_closed_to_the_public(stack: Stack, of: str) -> None:
    block = only(stack, "aws_s3_bucket_public_access_block", of)
    switches = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert all(block[switch] is True for switch in switches)
    assert only(stack, "aws_s3_bucket_ownership_controls", of)["rule"] == {"object_ownership": "BucketOwnerEnforced"}


@pytest.mark.parametrize("of", BUCKETS)
def test_the_catalog_is_encrypted_with_its_regions_key(stack: Stack, of: str) -> None:
    [rule] = only(stack, "aws_s3_bucket_server_side_encryption_configuration", of)["rule"]
    assert rule["bucket_key_enabled"] is True
    assert rule["apply_server_side_encryption_by_default"] == {
        "sse_algorithm": "aws:kms",
        "kms_master_key_id": f"${{{address(stack, 'aws_kms_key', BUCKETS[of][1])}.arn}}",
    }


@pytest.mark.parametrize("of", BUCKETS)
def test_the_catalog_keeps_versions_and_speaks_tls(stack: Stack, of: str) -> None:
    assert only(stack, "aws_s3_bucket", of)["bucket"] == BUCKETS[of][0]
    assert only(stack, "aws_s3_bucket_versioning", of)["versioning_configuration"] == {"status": "Enabled"}
    refusal = statements(only(stack, "aws_s3_bucket_policy", of)["policy"])["RefusePlainHttp"]
    assert refusal["Effect"] == "Deny"
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_catalog_and_keys_survive_a_destroy(stack: Stack) -> None:
    for bucket in stack["resource"]["aws_s3_bucket"].values():
        assert bucket["force_destroy"] is False
        assert bucket["lifecycle"] == {"prevent_destroy": True}
    for key in stack["resource"]["aws_kms_key"].values():
        assert key["lifecycle"] == {"prevent_destroy": True}
        assert key["deletion_window_in_days"] == 30


def test_a_disposable_environment_can_be_destroyed(disposable: Stack) -> None:
    for bucket in disposable["resource"]["aws_s3_bucket"].values():
        assert bucket["force_destroy"] is True
        assert "lifecycle" not in bucket
    assert all("lifecycle" not in key for key in disposable["resource"]["aws_kms_key"].values())


def test_a_stand_in_without_tls_is_not_shut_out(disposable: Stack) -> None:
    for of in BUCKETS:
        refusals = statements(only(disposable, "aws_s3_bucket_policy", of)["policy"])
        assert sorted(refusals) == ["RefuseDeletes", "RefuseOverwrites"]


@pytest.mark.parametrize("of", BUCKETS)
def test_nobody_replaces_or_deletes_an_object_of_the_catalog(stack: Stack, of: str) -> None:
    policy = statements(only(stack, "aws_s3_bucket_policy", of)["policy"])
    for sid in ("RefuseOverwrites", "RefuseDeletes"):
        refusal = policy[sid]
        assert (refusal["Effect"], refusal["Principal"]) == ("Deny", {"AWS": "*"})
        assert refusal["Resource"][0].endswith(".arn}/*"), "all objects, the index as well"
    assert policy["RefuseOverwrites"]["Action"] == ["s3:PutObject"]
    assert policy["RefuseOverwrites"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
    assert policy["RefuseDeletes"]["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert "Condition" not in policy["RefuseDeletes"]


@pytest.mark.parametrize("of", BUCKETS)
def test_the_catalog_is_locked_without_a_new_bucket(stack: Stack, of: str) -> None:
    lock = only(stack, "aws_s3_bucket_object_lock_configuration", of)
    assert lock["rule"] == {"default_retention": {"mode": "GOVERNANCE", "days": 365}}
    assert len(lock["depends_on"]) == 1  # S3 locks only buckets that keep versions
    assert lock.get("provider") == only(stack, "aws_s3_bucket", of).get("provider")
    assert "object_lock_enabled" not in only(stack, "aws_s3_bucket", of), "a change of it replaces the bucket"


def test_the_topic_is_encrypted_and_hears_our_rules_only(stack: Stack) -> None:
    topic = only(stack, "aws_sns_topic")
    assert topic["name"] == "new-images"
    assert topic["kms_master_key_id"] == f"${{{address(stack, 'aws_kms_key', 'eu-west-1')}.arn}}"
    publish = statements(only(stack, "aws_sns_topic_policy")["policy"])["OurRules"]
    assert publish["Principal"] == {"Service": "events.amazonaws.com"}
    rules = [f"${{aws_cloudwatch_event_rule.{name}.arn}}" for name in stack["resource"]["aws_cloudwatch_event_rule"]]
    assert sorted(publish["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted(rules)


def test_consumers_subscribe_what_is_theirs(
    stack: Stack, synth: Any, catalog: Catalog, environment: Environment
) -> None:
    subscribe = statements(only(stack, "aws_sns_topic_policy")["policy"])["Consumers"]
    assert (subscribe["Action"], subscribe["Principal"]) == (
        ["sns:Subscribe"],
        {"AWS": ["arn:aws:iam::210987654321:root"]},
    )
    assert subscribe["Condition"] == {
        "StringEquals": {"sns:Protocol": ["sqs", "lambda"]},
        "StringLike": {"sns:Endpoint": ["arn:aws:sqs:*:210987654321:*", "arn:aws:lambda:*:210987654321:*"]},
    }
    alone = environment.model_copy(update={"consumer_accounts": ()})
    without = synth(Settings(alone, alone.catalog, stand_in=False), catalog)["distribution"]
    assert set(statements(only(without, "aws_sns_topic_policy")["policy"])) == {"OurRules"}


def test_new_and_withdrawn_images_and_parameters_are_announced(stack: Stack) -> None:
    rules = stack["resource"]["aws_cloudwatch_event_rule"].values()
    details = {rule["name"]: json.loads(rule["event_pattern"])["detail"] for rule in rules}
    ours = [{"prefix": "/bakery/"}]
    assert details == {
        "bakery-prod-image-available": {"State": ["available"]},
        "bakery-prod-image-withdrawn": {"State": ["deregistered", "disabled"]},
        "bakery-prod-parameter-changed": {"name": ours, "operation": ["Create", "Update"]},
        "bakery-prod-parameter-removed": {"name": ours, "operation": ["Delete"]},
    }
    targets = stack["resource"]["aws_cloudwatch_event_target"].values()
    assert len({target["rule"] for target in targets}) == len(details)
    assert {target["arn"] for target in targets} == {only(stack, "aws_sns_topic_policy")["arn"]}


def test_the_publisher_may_do_all_that_publishing_calls(stack: Stack) -> None:
    allowed = allowed_actions(stack)
    missing = _called() - allowed - {"sts:GetCallerIdentity"}  # which needs no right
    assert not missing


def test_the_publisher_may_do_nothing_else_with_images(stack: Stack) -> None:
    services = ("ec2:", "ebs:", "ssm:")
    allowed = allowed_actions(stack)
    unused = {action for action in allowed if action.startswith(services)} - _called() - {"ec2:CreateTags"}
    assert unused <= {"ssm:GetParameter", *DESCRIBE_USERS}  # what Terraform and DescribeImageReferences read with


def test_the_publisher_changes_only_what_it_made(stack: Stack) -> None:
    """Of all that changes, shares or reads what is there, only copies of images look at no tag: see the block."""
    for action, (making, using) in {
        "ebs:StartSnapshot": ({"MakeSnapshots"}, set()),
        "ebs:PutSnapshotBlock": (set(), {"UseSnapshots"}),
        "ec2:CopySnapshot": ({"MakeSnapshots"}, {"UseSnapshots"}),
        "ec2:RegisterImage": ({"RegisterImages"}, {"UseSnapshots"}),
        "ec2:ModifyImageAttribute": (set(), {"ChangeOurs"}),
        "ec2:ModifySnapshotAttribute": (set(), {"ChangeOurs"}),
        "ec2:DeleteSnapshot": (set(), {"ChangeOurs"}),
        "ec2:DeregisterImage": (set(), {"ChangeOurs"}),
        **dict.fromkeys(LIFE, (set(), {"Life"})),
    }.items():
        allowing = {sid: one["Condition"]["Null"] for sid, one in rights(stack).items() if action in one["Action"]}
        assert set(allowing) == making | using, action
        for sid, condition in allowing.items():
            where = "Request" if sid in making else "Resource"
            assert condition == {f"aws:{where}Tag/bakery:image": "false"}
    images = rights(stack)["RegisterImages"]["Resource"]
    assert images == ["arn:aws:ec2:*::image/*"], "snapshots of others would be images of ours"
    assert rights(stack)["Life"]["Resource"] == ["arn:aws:ec2:*::image/*"]


def test_the_publisher_tags_what_it_makes_and_what_has_its_tag(stack: Stack) -> None:
    """Not what is there already: its tag would be the right to share and delete it."""
    tagging = {sid: one["Condition"]["Null"] for sid, one in rights(stack).items() if "ec2:CreateTags" in one["Action"]}
    ours = {"aws:RequestTag/bakery:image": "false"}
    assert tagging == {
        "ChangeOurs": {"aws:ResourceTag/bakery:image": "false"},
        "TagNew": {**ours, "ec2:CreateAction": "false"},
        "TagStarted": {**ours, "ec2:SnapshotTime": "true"},
    }
    assert rights(stack)["TagStarted"]["Resource"] == ["arn:aws:ec2:*::snapshot/*"]


def test_the_publisher_stays_in_its_regions_and_names(stack: Stack) -> None:
    found = rights(stack)
    others = {
        "KeepVersions",
        "NeverDeleteVersions",
        "Pointers",
        "CatalogList",
        "CatalogRead",
        "CatalogWrite",
        "Keys",
        "KeysForEc2",
        "Consumers",
        "Notices",
    }
    for name in found.keys() - others:
        assert found[name]["Condition"]["StringEquals"]["aws:RequestedRegion"] == ["eu-west-1", "us-east-1"]
    assert found["Pointers"]["Resource"] == [
        "arn:aws:ssm:eu-west-1:123456789012:parameter/bakery/*",
        "arn:aws:ssm:us-east-1:123456789012:parameter/bakery/*",
    ]
    assert found["Consumers"]["Resource"] == [
        "arn:aws:iam::210987654321:role/bakery-publisher",
        "arn:aws:iam::210987654321:role/bakery-tagger",
    ]
    assert found["Notices"]["Resource"] == ["arn:aws:sns:eu-west-1:123456789012:new-images"]
    for name in ("CatalogRead", "CatalogWrite"):
        [records] = found[name]["Resource"]
        assert records.endswith(".arn}/bakery/*")


def test_only_looking_is_allowed_on_everything(stack: Stack) -> None:
    everywhere = [name for name, statement in rights(stack).items() if "*" in statement.get("Resource", ())]
    assert everywhere == ["Look", "LookForUses", "LookAtUsers", "LookForLeftovers"]
    wildcards = [action for statement in rights(stack).values() for action in statement["Action"] if "*" in action]
    assert set(wildcards) <= {"kms:ReEncrypt*", "kms:GenerateDataKey*"}  # both are pairs that AWS documents so


def test_it_describes_templates_for_uses_of_images_only(stack: Stack) -> None:
    assert rights(stack)["LookAtUsers"]["Action"] == DESCRIBE_USERS
    assert rights(stack)["LookAtUsers"]["Condition"]["ForAnyValue:StringEquals"] == {
        "aws:CalledVia": ["ec2-images.amazonaws.com"]
    }


def test_records_are_never_deleted(stack: Stack) -> None:
    assert not any("s3:Delete" in action for found in rights(stack).values() for action in found["Action"])


PARAMETERS = "arn:aws:ssm:us-east-1:123456789012:parameter/bakery/web/x86_64/"


@pytest.mark.parametrize(
    ("action", "name", "overwrite", "allowed"),
    [
        ("ssm:PutParameter", "1.0.0", "false", True),
        ("ssm:PutParameter", "1.0.0", "true", False),
        ("ssm:PutParameter", "channels/stable", "false", True),
        ("ssm:PutParameter", "channels/stable", "true", True),
        ("ssm:DeleteParameter", "channels/stable", "", True),
        ("ssm:DeleteParameter", "1.0.0", "", False),
        ("ssm:DeleteParameters", "1.0.0", "", False),
    ],
)
def test_the_parameter_of_a_version_never_changes(
    stack: Stack, action: str, name: str, overwrite: str, allowed: bool
) -> None:
    parameter = Resource(PARAMETERS + name)
    assert allows(rights(stack).values(), action, parameter, request={"ssm:Overwrite": overwrite}) is allowed


def test_the_publisher_is_for_the_own_account(stack: Stack) -> None:
    [trust] = json.loads(only(stack, "aws_iam_role", "publisher")["assume_role_policy"])["Statement"]
    assert trust["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}


def test_outputs_name_what_users_need(stack: Stack) -> None:
    named = [name for name in stack["output"] if not name.startswith("cross-stack-output")]
    assert sorted(named) == ["catalog", "catalog_replica", "key_alias", "key_arns", "publisher_role_arn", "topic_arn"]


def test_consumers_grant_to_their_auto_scaling_and_nobody_else(stack: Stack) -> None:
    key = only(stack, "aws_kms_key", "key-eu-west-1")
    found = statements(key["policy"])
    [grantee] = found["ConsumersGrant"]["Condition"]["StringEquals"]["kms:GranteePrincipal"]
    service = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    assert grantee == f"arn:aws:iam::210987654321:role/{service}"
    assert found["ConsumersGrant"]["Condition"]["ForAllValues:StringEquals"]["kms:GrantOperations"] == GRANTED
    assert found["ConsumersStart"]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_the_catalog_is_copied_with_all_but_deletions(stack: Stack) -> None:
    rule = only(stack, "aws_s3_bucket_replication_configuration")
    assert len(rule["depends_on"]) == 3  # S3 takes no rule before both buckets have versions and the role its rights
    [only_rule] = rule["rule"]
    assert only_rule["filter"] == {"prefix": ""}
    assert only_rule["delete_marker_replication"] == {"status": "Disabled"}
    assert only_rule["source_selection_criteria"] == {"sse_kms_encrypted_objects": {"status": "Enabled"}}
    key = f"${{{address(stack, 'aws_kms_key', 'us-east-1')}.arn}}"
    assert only_rule["destination"]["encryption_configuration"] == {"replica_kms_key_id": key}
    found = rights(stack, "replication")
    assert {"s3:GetObjectRetention", "s3:GetObjectLegalHold"} <= set(found["Read"]["Action"]), "S3 copies locks too"
    assert found["Encrypt"]["Resource"] == [key]
    assert found["Decrypt"]["Resource"] == [f"${{{address(stack, 'aws_kms_key', 'eu-west-1')}.arn}}"]
    assert not any("*" in action or "Delete" in action for each in found.values() for action in each["Action"])


def test_a_catalog_may_have_no_copy(synth: Any, catalog: Catalog, environment: Environment) -> None:
    alone = environment.model_copy(update={"replica_region": None})
    found = synth(Settings(alone, alone.catalog, stand_in=False), catalog)["distribution"]
    assert len(found["resource"]["aws_s3_bucket"]) == 1
    assert "aws_s3_bucket_replication_configuration" not in found["resource"]
    assert "catalog_replica" not in found["output"]


def test_deleted_images_and_snapshots_can_be_had_back_in_every_region(stack: Stack) -> None:
    rules = stack["resource"]["aws_rbin_rule"].values()
    seen = {(rule["provider"], rule["resource_type"]) for rule in rules}
    providers = ("aws", "aws.us-east-1")
    assert seen == {(provider, kind) for provider in providers for kind in ("EC2_IMAGE", "EBS_SNAPSHOT")}
    for rule in rules:
        assert rule["retention_period"] == {"retention_period_value": 14, "retention_period_unit": "DAYS"}


def test_the_recycle_bin_knows_ours_by_a_tag_that_all_have() -> None:
    assert get_args(ImageDefinition.model_fields["arch"].annotation) == (RESOURCE_TAG["resource_tag_value"],)
    assert RESOURCE_TAG["resource_tag_key"] in tags.identity(ImageVersion("web", "x86_64", "1.0.0"))


def test_nothing_can_be_made_public_in_any_region(stack: Stack) -> None:
    images = stack["resource"]["aws_ec2_image_block_public_access"].values()
    snapshots = stack["resource"]["aws_ebs_snapshot_block_public_access"].values()
    providers = {"aws", "aws.us-east-1"}
    assert {(each["provider"], each["state"]) for each in images} == {(one, "block-new-sharing") for one in providers}
    assert {(each["provider"], each["state"]) for each in snapshots} == {
        (one, "block-all-sharing") for one in providers
    }


def test_the_accounts_setting_may_be_somebody_elses(synth: Any, catalog: Catalog, environment: Environment) -> None:
    other = environment.model_copy(update={"block_public_sharing": False})
    found = synth(Settings(other, other.catalog, stand_in=False), catalog)["distribution"]
    assert not any(
        "block_public_access" in kind for kind in found["resource"] if kind.startswith(("aws_ec2", "aws_ebs"))
    )


def _called() -> set[str]:
    """IAM actions of all AWS operations that the code of `clouds/aws` names."""
    words = set(re.findall(r"""[."](\w+)["(,]""", "\n".join(path.read_text() for path in PUBLISHING.glob("*.py"))))
    session = botocore.session.get_session()
    operations = {
        xform_name(operation): f"{service}:{operation}"
        for service in ("ec2", "ebs", "ssm", "sts")
        for operation in session.get_service_model(service).operation_names
    }
    return {action for name, action in operations.items() if name in words}
