"""The stack of a consumer account: it acts there only, and its roles have the rights that somebody uses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog
from bakery.clouds.aws.settings import AwsDistribution
from bakery_stacks.config import Environment, Settings
from bakery_stacks.stacks.consumer.settings import Consumer
from unit.bakery_stacks.iam import Resource, allows

Stack = dict[str, Any]
CONSUMER = "210987654321"
PARAMETERS = Path(__file__).parents[5] / "scripts" / "bakery" / "clouds" / "aws" / "parameters.py"


@pytest.fixture(scope="session")
def stack(stacks: dict[str, Stack]) -> Stack:
    return stacks[f"consumer-{CONSUMER}"]


def named(stack: Stack, kind: str, of: str) -> dict[str, Any]:
    [found] = [value for name, value in stack["resource"][kind].items() if re.match(f"roles_{of}(-policy)?_", name)]
    return dict(found)


def rights(stack: Stack, of: str) -> dict[str, dict[str, Any]]:
    policy = json.loads(named(stack, "aws_iam_role_policy", of)["policy"])
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def trusted(stack: Stack, of: str) -> dict[str, list[str]]:
    """Account -> its roles that are trusted; all of them if there are none."""
    trust = json.loads(named(stack, "aws_iam_role", of)["assume_role_policy"])["Statement"]
    assert {one["Action"] for one in trust} == {"sts:AssumeRole"}
    roles = [one.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", []) for one in trust]
    return dict(zip([one["Principal"]["AWS"] for one in trust], roles, strict=True))


def test_it_acts_in_its_account_by_a_role_there(stack: Stack) -> None:
    for provider in stack["provider"]["aws"]:
        assert provider["allowed_account_ids"] == [CONSUMER]
        [role] = provider["assume_role"]
        assert role["role_arn"] == f"arn:aws:iam::{CONSUMER}:role/OrganizationAccountAccessRole"


def test_its_state_is_with_all_others(stack: Stack) -> None:
    backend = stack["terraform"]["backend"]["s3"]
    assert (backend["bucket"], backend["key"]) == ("prod-state", f"bakery/prod/consumer-{CONSUMER}.tfstate")
    assert backend["allowed_account_ids"] == ["123456789012"]
    assert backend["use_lockfile"] is True


def test_it_needs_of_the_owner_what_the_distribution_stack_hands_over(stack: Stack) -> None:
    [state] = stack["data"]["terraform_remote_state"].values()
    assert state["config"]["key"] == "bakery/prod/distribution.tfstate"


def test_the_publisher_there_may_do_what_writing_parameters_calls(stack: Stack) -> None:
    called = {f"ssm:{_camel(name)}" for name in re.findall(r"\.ssm\.(\w+)\(", PARAMETERS.read_text())}
    assert set(rights(stack, "publisher")["Parameters"]["Action"]) == called
    assert named(stack, "aws_iam_role", "publisher")["name"] == AwsDistribution.model_fields["consumer_role"].default


def test_the_publisher_there_is_for_the_owners_publishers_only(stack: Stack) -> None:
    owner = "arn:aws:iam::123456789012"
    assert trusted(stack, "publisher") == {
        f"{owner}:root": [f"{owner}:role/bakery-prod-publisher", f"{owner}:role/bakery-publish"]
    }
    assert set(trusted(stack, "tagger")) == {f"{owner}:root", f"arn:aws:iam::{CONSUMER}:root"}


def test_readers_read(stack: Stack) -> None:
    actions = [action for statement in rights(stack, "reader").values() for action in statement["Action"]]
    assert all(action.split(":")[1].startswith(("Get", "Describe")) for action in actions)
    assert trusted(stack, "reader") == {f"arn:aws:iam::{CONSUMER}:root": []}


@pytest.mark.parametrize(("name", "allowed"), [("1.0.0", False), ("channels/stable", True)])
def test_the_publisher_there_moves_channels_only(stack: Stack, name: str, allowed: bool) -> None:
    parameter = f"arn:aws:ssm:us-east-1:{CONSUMER}:parameter/bakery/web/x86_64/{name}"
    statements = rights(stack, "publisher").values()
    assert allows(statements, "ssm:PutParameter", Resource(parameter), request={"ssm:Overwrite": "true"}) is allowed
    assert allows(statements, "ssm:DeleteParameter", Resource(parameter)) is allowed
    assert allows(statements, "ssm:PutParameter", Resource(parameter), request={"ssm:Overwrite": "false"})


@pytest.mark.parametrize("of", ["publisher", "reader"])
def test_parameters_are_ours_in_the_regions_of_images(stack: Stack, of: str) -> None:
    assert rights(stack, of)["Parameters"]["Resource"] == [
        f"arn:aws:ssm:{region}:{CONSUMER}:parameter/bakery/*" for region in ("eu-west-1", "us-east-1")
    ]


def test_the_tagger_sets_our_tags_on_the_owners_images_and_copies(stack: Stack) -> None:
    assert named(stack, "aws_iam_role", "tagger")["name"] == AwsDistribution.model_fields["tagger_role"].default
    tag = rights(stack, "tagger")["TagImages"]
    assert tag["Action"] == ["ec2:CreateTags"]
    assert tag["Condition"]["StringEquals"]["ec2:Owner"] == ["123456789012", CONSUMER]
    assert tag["Condition"]["ForAllValues:StringLike"] == {"aws:TagKeys": ["bakery:*", "Name"]}
    assert tag["Condition"]["Null"] == {"aws:TagKeys": "false"}  # ForAllValues alone is true of no tags at all


@pytest.mark.parametrize(
    ("of", "looking"),
    [("publisher", {"Look", "LookForUses", "LookAtUsers"}), ("tagger", {"Look"}), ("reader", {"Look"})],
)
def test_only_looking_is_allowed_on_everything(stack: Stack, of: str, looking: set[str]) -> None:
    everywhere = {name for name, statement in rights(stack, of).items() if "*" in statement.get("Resource", ())}
    assert everywhere == looking
    assert rights(stack, of)["Look"]["Condition"] == {
        "StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}
    }


def test_the_publisher_there_describes_machines_and_templates_for_uses_of_images_only(stack: Stack) -> None:
    assert rights(stack, "publisher")["LookForUses"]["Action"] == ["ec2:DescribeImageReferences"]
    assert rights(stack, "publisher")["LookAtUsers"]["Condition"] == {
        "StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]},
        "ForAnyValue:StringEquals": {"aws:CalledVia": ["ec2-images.amazonaws.com"]},
    }


def test_auto_scaling_may_use_the_key_of_every_region(stack: Stack) -> None:
    grants = stack["resource"]["aws_kms_grant"].values()
    assert {grant["provider"] for grant in grants} == {"aws", "aws.us-east-1"}
    for grant in grants:
        assert "CreateGrant" in grant["operations"]
        assert grant["retiring_principal"] == f"arn:aws:iam::{CONSUMER}:root"
        assert grant["retire_on_delete"] is True


def test_an_account_without_the_service_role_is_told_what_to_run(stack: Stack) -> None:
    [roles] = stack["data"]["aws_iam_roles"].values()
    [condition] = roles["lifecycle"]["postcondition"]
    assert condition["condition"] == "${length(self.arns) == 1}"
    assert (
        "aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com" in condition["error_message"]
    )


def test_every_account_is_a_stack_with_its_own_role_and_boundary(
    synth: Any, catalog: Catalog, environment: Environment
) -> None:
    boundary = "arn:aws:iam::333333333333:policy/boundary"
    second = Consumer(account="333333333333", deploy_role="terraform", permissions_boundary=boundary)
    two = environment.model_copy(
        update={
            "consumer_accounts": (*environment.consumer_accounts, second),
            "permissions_boundary": "arn:aws:iam::123456789012:policy/boundary",
        }
    )
    found = synth(Settings(two, two.catalog, stand_in=False), catalog)
    assert [name for name in sorted(found) if name.startswith("consumer")] == [
        "consumer-210987654321",
        "consumer-333333333333",
    ]
    assert found["consumer-333333333333"]["provider"]["aws"][0]["assume_role"][0]["role_arn"].endswith("role/terraform")
    for name, expected in (("consumer-210987654321", None), ("consumer-333333333333", boundary)):
        roles = found[name]["resource"]["aws_iam_role"].values()
        assert {role.get("permissions_boundary") for role in roles} == {expected}


def test_outputs_name_what_users_need(stack: Stack) -> None:
    names = ["grant_ids", "publisher_role_arn", "reader_role_arn", "tagger_role_arn", "topic_arn"]
    assert sorted(stack["output"]) == names


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
