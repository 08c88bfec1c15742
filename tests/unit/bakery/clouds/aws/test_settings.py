"""The network of a build in AWS: what a definition may say, and where a mistake is."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bakery.clouds.aws.settings import AwsDistribution
from bakery.clouds.definitions import load
from bakery.host.errors import UsageError

DEFINITION = """\
name: web
description: A web server
os: debian-12
arch: x86_64
version: "1.0"
base:
  aws:
    ami: {{name: debian-12-amd64-*, owner: "136693071363"}}
    network:
      {network}
targets: [aws]
distribution:
  aws: {{regions: [eu-west-1]}}
"""
SUBNET = "subnet: subnet-0123456789abcdef0"


def read(folder: Path, *lines: str) -> None:
    """Read a definition with these lines in its network, which begins in line 10."""
    (folder / "web.yaml").write_text(DEFINITION.format(network="\n      ".join(lines)))
    load(folder)


@pytest.mark.parametrize(
    "lines",
    [
        (SUBNET,),
        ("vpc: vpc-01234567", "subnet_tags: {Name: builds}"),
        (SUBNET, "security_groups: [sg-01234567]", "public_address: false"),
        (SUBNET, "public_address: false", "access_from: [10.0.0.0/8]"),
    ],
)
def test_networks_that_work(tmp_path: Path, lines: tuple[str, ...]) -> None:
    read(tmp_path, *lines)


@pytest.mark.parametrize("alias", ["images", "alias/images", "alias/team/Images_2-a", "alias/aws/ebs"])
def test_an_alias_of_a_key(alias: str) -> None:
    settings = AwsDistribution.model_validate({"regions": ("eu-west-1",), "kms_alias": alias})
    assert settings.key_alias == f"alias/{alias.removeprefix('alias/')}"


@pytest.mark.parametrize("alias", ["", "alias/", "alias/a b", "/a", "arn:aws:kms:eu-west-1:1:alias/a", "a\n"])
def test_a_text_that_is_no_alias_of_a_key(alias: str) -> None:
    with pytest.raises(ValidationError, match="must be the alias of a KMS key"):
        AwsDistribution.model_validate({"regions": ("eu-west-1",), "kms_alias": alias})


@pytest.mark.parametrize("alias", ["aws/ebs", "alias/aws/ebs"])
def test_nothing_under_a_key_of_aws_can_be_shared(alias: str) -> None:
    shared = {"regions": ("eu-west-1",), "accounts": ("210987654321",), "kms_alias": alias}
    with pytest.raises(ValidationError, match="no other account can use a key that AWS manages"):
        AwsDistribution.model_validate(shared)


@pytest.mark.parametrize(
    ("lines", "message", "hint", "line"),
    [
        (("subnets: subnet-01234567",), "unknown key 'base.aws.network.subnets'", "did you mean 'subnet'?", 10),
        (("subnet: builds",), "must be the ID of a subnet", "subnet-0123456789abcdef0", 10),
        (("public_address: true",), "needs exactly one of subnet, subnet_tags", "", 9),
        ((SUBNET, "vpc: vpc-01234567"), "subnet has its own VPC", "remove vpc", 11),
        ((SUBNET, "public_address: false"), "nothing can log in", "session_manager: true", 11),
        ((SUBNET, "session_manager: true"), "only machines with an instance profile", "add instance_profile", 11),
        ((SUBNET, "access_from: [0.0.0.0/0]"), "'0.0.0.0/0' lets in the internet", "203.0.113.7/32", 11),
        ((SUBNET, "access_from: ['::/0']"), "'::/0' lets in the internet", "203.0.113.7/32", 11),
        ((SUBNET, "access_from: [10.0.0.1/8]"), "is no block of addresses", "203.0.113.7/32", 11),
        ((SUBNET, "security_groups: [default]"), "must be the ID of a security group", "sg-0123456789abcdef0", 11),
        (
            (SUBNET, "access_from: [10.0.0.0/8]", "security_groups: [sg-01234567]"),
            "security_groups are set",
            "put the rule into those groups",
            11,
        ),
    ],
)
def test_mistakes_have_a_place_and_a_hint(
    tmp_path: Path, lines: tuple[str, ...], message: str, hint: str, line: int
) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, *lines)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.where == f"{tmp_path / 'web.yaml'}:{line}"
