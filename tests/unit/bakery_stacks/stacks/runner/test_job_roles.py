"""Roles of GitLab's jobs at AWS: a token of one duty opens no other role, and no role does the work of another."""

from typing import get_args

import pytest

from bakery.engine.duties import Duty, id_tokens_of
from bakery_stacks.blocks import publisher
from bakery_stacks.blocks.policy import Statement
from bakery_stacks.config import Environment
from bakery_stacks.stacks.runner import job_roles
from bakery_stacks.stacks.runner.job_roles import JobRole
from bakery_stacks.stacks.runner.settings import Oidc, Subject
from unit.bakery_stacks.iam import Resource, allows, takes
from unit.bakery_stacks.stacks.runner.examples import DISTRIBUTION, PLACES, section

HOST = "gitlab.example.com"
OIDC = Oidc(subjects=(Subject(project="platform/images", ref="main"),), builds_in_aws=True)
REPOSITORY = "arn:aws:ecr:eu-west-1:123456789012:repository/runner"
MAIN = "project_path:platform/images:ref_type:branch:ref:main"
TAKEN = {
    "check": {"validate"},
    "bake": {"bake-private", "bake-public"},
    "verify": {"verify"},
    "publish": {"publish"},
    "push": {"runner-image"},
}
DUTIES = (*get_args(Duty), "runner-image")
CATALOG = "arn:aws:s3:::prod-catalog/bakery"
RECORD = f"{CATALOG}/images/web/x86_64/versions/1.0.3/000001.json"
CHANNEL = f"{CATALOG}/images/web/x86_64/channels/stable/000002.json"
FAILURE = f"{CATALOG}/images/web/x86_64/failures/000001.json"
PARAMETER = "arn:aws:ssm:eu-west-1:123456789012:parameter/bakery/web/x86_64/channels/stable"
IMAGE = "arn:aws:ec2:eu-west-1::image/ami-1"


KEY = "arn:aws:kms:eu-west-1:123456789012:key/runner"
CACHE = f"arn:aws:s3:::{PLACES.cache_bucket}"


@pytest.fixture(scope="module")
def roles(environment: Environment) -> dict[str, JobRole]:
    return {
        role.name: role
        for role in job_roles.job_roles(environment, OIDC, DISTRIBUTION, REPOSITORY, layer_rights(environment))
    }


def layer_rights(environment: Environment) -> list[Statement]:
    return job_roles.share_layers(environment, PLACES.cache_bucket, KEY)


def trust(role: JobRole) -> Statement:
    return job_roles._trust_statement("arn:provider", HOST, OIDC, role)


def audience(duty: str) -> str:
    """Of the token that a job of the duty gets; the last duty's job is in .gitlab-ci.yml."""
    if duty == "runner-image":
        return "sts.amazonaws.com/runner-image"
    return id_tokens_of(duty, "https://vault.example.com")["AWS_ID_TOKEN"]["aud"]  # type: ignore[arg-type]


@pytest.mark.parametrize("duty", DUTIES)
def test_a_token_opens_the_role_of_its_duty_and_no_other(roles: dict[str, JobRole], duty: str) -> None:
    opened = {name for name, role in roles.items() if takes(trust(role), aud=audience(duty), sub=MAIN)}
    assert opened == {name for name, duties in TAKEN.items() if duty in duties}


@pytest.mark.parametrize(
    "subject",
    [
        "project_path:platform/images:ref_type:branch:ref:feature",
        "project_path:platform/images:ref_type:tag:ref:main",
        "project_path:platform/images-fork:ref_type:branch:ref:main",
        "project_path:other/images:ref_type:branch:ref:main",
    ],
)
@pytest.mark.parametrize("duty", DUTIES)
def test_only_named_refs_do_more_than_look(roles: dict[str, JobRole], duty: str, subject: str) -> None:
    opened = {name for name, role in roles.items() if takes(trust(role), aud=audience(duty), sub=subject)}
    looks = duty == "validate" and ":platform/images:ref_type:branch:" in subject
    assert opened == ({"check"} if looks else set())


@pytest.mark.parametrize("audience", ["sts.amazonaws.com", "https://vault.example.com/publish", "sts.amazonaws.com/"])
def test_a_token_for_something_else_opens_nothing(roles: dict[str, JobRole], audience: str) -> None:
    assert not [name for name, role in roles.items() if takes(trust(role), aud=audience, sub=MAIN)]


WORK = {
    ("s3:GetObject", RECORD): {"check", "bake", "verify", "publish"},
    ("s3:PutObject", RECORD): {"bake", "publish"},
    ("s3:PutObject", FAILURE): {"bake", "verify", "publish"},
    ("s3:PutObject", CHANNEL): {"publish"},
    ("s3:PutObject", f"{CATALOG}/observations/000001.json"): {"publish"},
    ("s3:PutObject", f"{CATALOG}/index/bases/web@x86_64@1.0.3@0"): {"bake", "publish"},
    ("s3:PutObject", f"{CATALOG}/images/web/x86_64/channels/versions/000001.json"): {"publish"},
    ("s3:PutObject", f"{CATALOG}/images/web/x86_64/channels/failures/000001.json"): {"publish"},
    ("s3:DeleteObject", RECORD): set(),
    ("s3:ListBucket", CACHE): {"bake"},
    ("s3:GetObject", f"{CACHE}/layers/0123/layer.json"): {"bake"},
    ("s3:PutObject", f"{CACHE}/layers/0123/layer.json"): {"bake"},
    ("s3:DeleteObject", f"{CACHE}/layers/0123/layer.json"): {"bake"},
    ("s3:GetObject", f"{CACHE}/runner/0123/project/1/cache.zip"): set(),
    ("s3:PutObject", f"{CACHE}/runner/0123/project/1/cache.zip"): set(),
    ("ssm:PutParameter", PARAMETER): {"publish"},
    ("ssm:GetParameter", PARAMETER): {"check", "publish"},
    ("sns:Publish", "arn:aws:sns:eu-west-1:123456789012:new-images"): {"bake", "verify", "publish"},
    ("ecr:PutImage", REPOSITORY): {"push"},
    ("ecr:GetAuthorizationToken", "*"): {"push"},
    ("sts:AssumeRole", "arn:aws:iam::210987654321:role/bakery-publisher"): {"publish"},
    ("ec2:DescribeImages", IMAGE): {"check", "bake", "publish"},
    ("iam:PassRole", "arn:aws:iam::123456789012:role/admin"): set(),
}


@pytest.mark.parametrize(("call", "expected"), WORK.items(), ids=lambda value: " ".join(sorted(value))[:90])
def test_a_role_does_the_work_of_its_duty_and_no_other(
    environment: Environment, roles: dict[str, JobRole], call: tuple[str, str], expected: set[str]
) -> None:
    action, resource = call
    topic = f"arn:aws:sns:eu-west-1:{environment.account}:{environment.topic}"
    target = Resource(topic if action == "sns:Publish" else resource)
    region = {"aws:RequestedRegion": "eu-west-1"}
    allowed = {name for name, role in roles.items() if allows(role.rights, action, target, request=region)}
    if action == "sts:AssumeRole" and not environment.consumer_accounts:
        expected = set()
    assert allowed == expected


def test_without_builds_in_aws_a_bake_reaches_nothing_but_the_catalog(environment: Environment) -> None:
    quiet = OIDC.model_copy(update={"builds_in_aws": False})
    made = {
        role.name: role
        for role in job_roles.job_roles(environment, quiet, DISTRIBUTION, REPOSITORY, layer_rights(environment))
    }
    services = {action.partition(":")[0] for statement in made["bake"].rights for action in statement["Action"]}
    assert services == {"s3", "kms", "sns"}
    key = next(statement for statement in made["bake"].rights if statement["Sid"] == "CatalogKey")
    assert key["Condition"] == {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}


def test_consumers_trust_the_role_that_publishes_alone(environment: Environment) -> None:
    arns = publisher.publisher_arns(environment.model_copy(update={"runner": section()}))
    names = {arn.rpartition("/")[2] for arn in arns}
    own = {f"bakery-{environment.name}-publisher", f"bakery-{environment.name}-publish"}
    assert names == own | {"bakery-publish"}, "the last one is lent by Vault"
