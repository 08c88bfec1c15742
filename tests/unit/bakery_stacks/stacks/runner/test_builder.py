"""The rights of builds in AWS, asked as an attacker with a bake job's role would."""

from typing import Any

import pytest

from bakery_stacks.blocks import publisher
from bakery_stacks.config import Environment
from bakery_stacks.stacks.runner import builder
from unit.bakery_stacks.iam import Resource, allows

ACCOUNT = "123456789012"
TAG = "bakery:image"
OURS = {f"aws:ResourceTag/{TAG}": "web"}
OF_BUILD = {**OURS, "aws:ResourceTag/bakery:purpose": "build"}
BUILD_NETWORK = {"aws:ResourceTag/bakery:builds": "true"}
TAGGED = {"aws:RequestedRegion": "eu-west-1", f"aws:RequestTag/{TAG}": "web"}
PLAIN = {"aws:RequestedRegion": "eu-west-1"}


def own(kind: str, **keys: str) -> Resource:
    return Resource(f"arn:aws:ec2:eu-west-1:{ACCOUNT}:{kind}/{kind}-1", keys)


def image(kind: str = "image", **keys: str) -> Resource:
    return Resource(f"arn:aws:ec2:eu-west-1::{kind}/{kind}-1", keys)


@pytest.fixture(scope="module")
def role(environment: Environment) -> list[Any]:
    """All rights of a role that bakes and publishes."""
    return [*publisher.publishing_rights(environment, "arn:aws:s3:::catalog", []), *builder.build_rights(environment)]


def starts(role: list[Any], *, base: Resource, request: dict[str, str] = TAGGED, **changes: Resource) -> bool:
    """Whether the role may start a machine, each part as a build has it but for the changes."""
    parts = {
        "instance": own("instance"),
        "volume": own("volume"),
        "card": own("network-interface"),
        "subnet": own("subnet", **BUILD_NETWORK),
        "group": own("security-group", **OURS),
    }
    return allows(role, "ec2:RunInstances", base, *(parts | changes).values(), request=request)


PUBLIC = image(**{"ec2:Public": "true", "ec2:Owner": "136693071363"})
PARENT = image(**{"ec2:Public": "false", **OURS})


def test_a_build_may_do_its_work(role: list[Any]) -> None:
    assert starts(role, base=PUBLIC)
    assert starts(role, base=PARENT)
    assert starts(role, base=PUBLIC, group=own("security-group", **BUILD_NETWORK))
    assert starts(role, base=PUBLIC, key=own("key-pair", **OURS))
    assert allows(role, "ec2:CreateImage", own("instance", **OF_BUILD), image(), image("snapshot"), request=TAGGED)
    assert allows(role, "ec2:CreateSecurityGroup", own("security-group"), own("vpc"), request=TAGGED)
    for action in ("ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup"):
        assert allows(role, action, own("security-group", **OF_BUILD), request=PLAIN)
    assert allows(role, "ec2:TerminateInstances", own("instance", **OF_BUILD), request=PLAIN)


@pytest.mark.parametrize("request_keys", [TAGGED, PLAIN], ids=["tagged", "plain"])
def test_no_image_is_made_of_a_machine_that_no_build_started(role: list[Any], request_keys: dict[str, str]) -> None:
    """One of Vault's nodes, for example, or one of a stack, which is tagged with its image."""
    for tags in ({"aws:ResourceTag/Name": "vault"}, OURS):
        foreign = own("instance", **tags)
        assert not allows(role, "ec2:CreateImage", foreign, image(), image("snapshot"), request=request_keys)


def test_no_machine_becomes_a_build_by_a_tag(role: list[Any]) -> None:
    assert not allows(role, "ec2:CreateTags", own("instance"), request=TAGGED)
    assert allows(role, "ec2:CreateTags", own("instance"), request={**TAGGED, "ec2:CreateAction": "RunInstances"})


@pytest.mark.parametrize(
    "changes",
    [
        {"base": image(**{"ec2:Public": "false", "ec2:Owner": ACCOUNT})},
        {"base": PUBLIC, "subnet": own("subnet")},
        {"base": PUBLIC, "group": own("security-group")},
        {"base": PUBLIC, "key": own("key-pair")},
        {"base": PUBLIC, "snapshot": image("snapshot")},
        {"base": PUBLIC, "request": PLAIN},
        {"base": PUBLIC, "request": {**TAGGED, "aws:RequestedRegion": "ap-south-1"}},
    ],
    ids=["another image", "another subnet", "another group", "another key", "a snapshot", "no tag", "another region"],
)
def test_a_machine_starts_only_where_builds_belong(role: list[Any], changes: dict[str, Any]) -> None:
    assert not starts(role, **changes)


@pytest.mark.parametrize("action", builder.CHANGE)
def test_resources_of_others_stay_as_they_are(role: list[Any], action: str) -> None:
    for kind in ("instance", "security-group", "key-pair", "volume"):
        for tags in ({}, OURS):
            assert not allows(role, action, own(kind, **tags), request=TAGGED)


def test_only_machines_of_builds_are_reached_by_a_tunnel(role: list[Any]) -> None:
    document = Resource("arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession")
    shell = Resource("arn:aws:ssm:eu-west-1::document/SSM-SessionManagerRunShell")
    build = own("instance", **{"ssm:resourceTag/bakery:purpose": "build"})
    assert allows(role, "ssm:StartSession", build, document, request=PLAIN)
    for tags in ({}, {f"ssm:resourceTag/{TAG}": "web"}):
        assert not allows(role, "ssm:StartSession", own("instance", **tags), document, request=PLAIN)
    assert not allows(role, "ssm:StartSession", build, shell, request=PLAIN)


def test_one_role_is_passed_to_machines_alone(role: list[Any], environment: Environment) -> None:
    to_ec2 = {"iam:PassedToService": "ec2.amazonaws.com"}
    passed = Resource(f"arn:aws:iam::{ACCOUNT}:role/{builder.build_name(environment)}")
    assert allows(role, "iam:PassRole", passed, request=to_ec2)
    assert not allows(role, "iam:PassRole", Resource(f"arn:aws:iam::{ACCOUNT}:role/admin"), request=to_ec2)
    assert not allows(role, "iam:PassRole", passed, request={"iam:PassedToService": "lambda.amazonaws.com"})
