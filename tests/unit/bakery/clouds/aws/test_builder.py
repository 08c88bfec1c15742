"""amazon-ebs: its variables, its login, and what its manifest says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds.aws import builder as aws
from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.host.errors import BakeryError
from doubles.packer import PackerProject, define

AMI = {"ami": {"name": "debian-12-amd64-*", "owner": "136693071363"}}
SETTINGS = {"regions": ["eu-central-1", "us-east-1"], "accounts": ["210987654321"], "kms_alias": "alias/images"}
SUBNET = "subnet-0123456789abcdef0"
LEASE = {"access_key": "AKIA", "secret_key": "hidden", "security_token": "token"}


def job(world: PackerProject, base: dict[str, Any] | None = None, **changes: Any) -> Job:
    changes = {"targets": ["aws"], "base": {"aws": base or AMI}, "distribution": {"aws": SETTINGS}} | changes
    return replace(world.job(define(**changes)), builder="aws", base=None)


def test_where_it_is_built_and_where_it_goes(world: PackerProject) -> None:
    given = aws.variables(job(world))
    assert given == given | {
        "region": "eu-central-1",
        "copy_regions": ("us-east-1",),
        "accounts": ("210987654321",),
        "kms_alias": "alias/images",
        "source_ami": "",
        "source_filter": {"name": "debian-12-amd64-*", "owner": "136693071363"},
        "endpoint": "",
    }


def test_an_alias_without_its_prefix_is_the_same_key(world: PackerProject) -> None:
    settings = SETTINGS | {"kms_alias": "images"}
    assert aws.variables(job(world, distribution={"aws": settings}))["kms_alias"] == "alias/images"


def test_without_a_network_only_this_machine_gets_in(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    given = aws.variables(job(world))
    assert (given["vpc"], given["subnet"], given["subnet_tags"], given["security_groups"]) == ("", "", {}, ())
    assert (given["public_address"], given["session_manager"], given["instance_profile"]) == (None, False, "")
    assert given["access_from"] == (), "the plugin asks for the address of this machine"


def test_the_network_of_a_build(world: PackerProject) -> None:
    network = {"subnet": SUBNET, "public_address": False, "session_manager": True}
    given = aws.variables(job(world, base={**AMI, "network": network, "instance_profile": "bakery-build"}))
    assert (given["subnet"], given["public_address"], given["session_manager"]) == (SUBNET, False, True)
    assert given["instance_profile"] == "bakery-build"
    tags = {"vpc": "vpc-01234567", "subnet_tags": {"Name": "builds"}, "access_from": ["10.0.0.0/8"]}
    given = aws.variables(job(world, base={**AMI, "network": tags}))
    assert (given["vpc"], given["subnet_tags"]) == ("vpc-01234567", {"Name": "builds"})
    assert given["access_from"] == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("endpoint", "blocks"),
    [("http://127.0.0.1:5000", ("127.0.0.0/8",)), ("https://ec2.eu-west-1.amazonaws.com", ()), ("", ())],
)
def test_a_stand_in_sees_loopback(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, endpoint: str, blocks: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert aws.variables(job(world))["access_from"] == blocks


def test_the_machine_has_a_key_that_the_bake_knows(world: PackerProject) -> None:
    given = aws.variables(job(world))
    assert Path(given["ssh_host_key"]).read_text()
    assert Path(given["ssh_known_hosts"]).read_text().startswith("image ")


def test_one_of_ours_is_started_from_by_its_id(world: PackerProject) -> None:
    given = aws.variables(replace(job(world, base={"image": "debian-12"}), source="ami-1"))
    assert (given["source_ami"], given["source_filter"]) == ("ami-1", {"name": "", "owner": ""})


def test_a_stand_in_is_told_and_no_secret_is(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    given = aws.variables(job(world, secrets={"db": {"path": "secret/data/db", "key": "password"}}))
    assert given["endpoint"] == "http://127.0.0.1:1"
    assert given["secrets"] == {"db": {"path": "secret/data/db", "key": "password"}}
    assert "hidden" not in str(given)


@pytest.mark.parametrize(("os", "source"), [("debian-12", "amazon-ebs.linux"), ("windows-2022", "amazon-ebs.windows")])
def test_the_source_is_chosen_by_the_os(world: PackerProject, os: str, source: str) -> None:
    assert aws.source(job(world, os=os).definition) == source


def test_the_users_endpoint_holds_in_all_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")
    assert aws.environment(LEASE)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5000"


def test_credentials_go_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert aws.environment(LEASE) == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_SESSION_TOKEN": "token",
    }
    assert "AWS_SESSION_TOKEN" not in aws.environment(LEASE | {"security_token": ""})


def test_credentials_of_something_else_are_refused_without_being_shown() -> None:
    with pytest.raises(BakeryError, match="have no access_key and no secret_key") as caught:
        aws.environment({"password": "hidden"})
    assert "hidden" not in str(vars(caught.value))


def test_ids_by_region() -> None:
    assert aws.ids(Build("run", "eu-central-1:ami-1,us-east-1:ami-2")) == {
        "eu-central-1": "ami-1",
        "us-east-1": "ami-2",
    }
