"""amazon-ebs: its variables, its login, and what its manifest says."""

from dataclasses import replace
from typing import Any

import pytest

from bakery.clouds.aws import builder as aws
from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.host.errors import BakeryError
from doubles.packer import PackerProject, define

AMI = {"ami": {"name": "debian-12-amd64-*", "owner": "136693071363"}}
SETTINGS = {"regions": ["eu-central-1", "us-east-1"], "accounts": ["210987654321"], "kms_alias": "alias/images"}
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
