"""Vault's AWS engine, the real one, set up as vault/set-up-aws.sh does it, in front of the AWS stand-in."""

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from bakery import cli
from bakery.catalog import owner
from bakery.clouds import REMOTE
from bakery.clouds.aws.session import connect
from bakery.clouds.definitions import load
from bakery.demo.stand_ins.vault import VaultServer
from bakery.engine.session import open_catalog
from bakery.host import process
from bakery.host.errors import BakeryError, ExitCode, OutageError
from bakery.host.vault.connection import RETRIES
from bakery.model.documents import Artifact, Base, Check, Verdict
from bakery.model.project import Project
from bakery.model.version import ImageVersion
from bakery.signing import open_keyring, save_signed
from bakery.verify import expect_checks
from doubles.aws.client import HOME_ACCOUNT, HOME_REGION, StandIn, running
from doubles.disks import describe_disk
from doubles.gitlab import GitLab, gitlab
from doubles.vault import vault_server
from integration.duties import (
    APPLY_ROLE,
    BAKE_ROLE,
    FILES,
    IMAGES_ACCOUNT,
    PUBLISH_ROLE,
    administer,
    job_token,
    login,
    set_up,
    set_up_aws,
)

pytestmark = pytest.mark.integration

BAKE = "aws/sts/bake"
PUBLISH = "aws/sts/publish"
APPLY = "aws/sts/apply"
OWN_KEY = {"access_key": "AKIAVAULT", "secret_key": "vaults-own-secret"}
DEFINITION = f"""\
name: web
description: A page
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu: {{debootstrap: {{suite: bookworm}}}}
targets: [aws]
distribution:
  aws:
    regions: [{HOME_REGION}]
    credentials: {PUBLISH}
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[StandIn]:
    with running() as double:
        yield double


@pytest.fixture(scope="module")
def ci() -> Iterator[GitLab]:
    with gitlab() as running_ci:
        yield running_ci


@pytest.fixture(scope="module")
def vaults(ci: GitLab, cloud: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    with vault_server(tmp_path_factory.mktemp("vault")) as server:
        set_up(server, ci)
        set_up_aws(server, cloud, "access_key=AKIAVAULT", "secret_key=-", stdin="vaults-own-secret")
        yield server


@pytest.fixture
def server(vaults: VaultServer, cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> VaultServer:
    """As after its start, with an empty cloud in which nobody but Vault has a login."""
    vaults.client.write_data("aws/config/root", data={**OWN_KEY, "max_retries": -1})  # forgets its client
    cloud.reset()
    for name in [name for name in os.environ if name.startswith(("AWS_", "VAULT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return vaults


def calls(cloud: StandIn) -> list[tuple[str, str]]:
    """What was called of STS and IAM, and in whose account."""
    found = cloud.control("GET", "calls")
    return [(call["action"], call["account"]) for call in found if call["service"] in ("sts", "iam")]


def leases(server: VaultServer, path: str) -> list[str]:
    answer = server.client.list(f"sys/leases/lookup/{path}")
    return answer["data"]["keys"] if answer else []


@pytest.mark.parametrize(
    ("duty", "path", "role"),
    [("bake-public", BAKE, "bakery-bake"), ("publish", PUBLISH, "bakery-publish"), ("apply", APPLY, "bakery-apply")],
)
def test_a_duty_acts_as_its_role(
    server: VaultServer, ci: GitLab, cloud: StandIn, duty: str, path: str, role: str
) -> None:
    with login(server, duty, job_token(ci, duty)) as vault:
        fields = vault.fields(path)
    assert calls(cloud) == [("GetCallerIdentity", HOME_ACCOUNT), ("AssumeRole", HOME_ACCOUNT)]
    account = connect(HOME_REGION, fields)
    assert account.number == IMAGES_ACCOUNT
    arn = account.sts(HOME_REGION).get_caller_identity()["Arn"]
    assert arn.startswith(f"arn:aws:sts::{IMAGES_ACCOUNT}:assumed-role/{role}/vault-jwt-")


def test_packer_gets_the_same_role_by_its_environment(
    server: VaultServer, ci: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with login(server, "bake-public", job_token(ci, "bake-public")) as vault:
        env = REMOTE["aws"].environment(vault.fields(BAKE))
    assert set(env) == {"AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert boto3.Session().client("sts", HOME_REGION).get_caller_identity()["Account"] == IMAGES_ACCOUNT


@pytest.mark.parametrize(("duty", "path"), [("bake-public", BAKE), ("publish", PUBLISH), ("apply", APPLY)])
def test_credentials_last_an_hour_as_does_the_token(server: VaultServer, ci: GitLab, duty: str, path: str) -> None:
    with login(server, duty, job_token(ci, duty)) as vault:
        fields = vault.fields(path)
        (lease,) = leases(server, path)
        about = server.client.sys.read_lease(f"{path}/{lease}")["data"]
    assert 3590 <= int(fields["ttl"]) <= 3600
    assert 3590 <= about["ttl"] <= 3600
    assert about["renewable"] is False


def test_at_the_end_the_lease_is_gone_and_the_role_runs_on_till_it_ends(
    server: VaultServer, ci: GitLab, cloud: StandIn
) -> None:
    """AWS has no call that ends an assumed role's credentials, and Vault makes none."""
    with login(server, "bake-public", job_token(ci, "bake-public")) as vault:
        fields = vault.fields(BAKE)
        assert len(leases(server, BAKE)) == 1
        before = calls(cloud)
    until_gone(server, BAKE)
    assert calls(cloud) == before
    assert connect(HOME_REGION, fields).number == IMAGES_ACCOUNT


def until_gone(server: VaultServer, path: str) -> None:
    """Vault revokes the leases of a revoked token a moment later."""
    for _ in range(50):
        if not leases(server, path):
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} still has leases: {leases(server, path)}")


def test_a_role_that_aws_refuses(server: VaultServer, ci: GitLab, cloud: StandIn) -> None:
    cloud.fault("sts", "AssumeRole", error="AccessDenied", status=403)
    with login(server, "publish", job_token(ci, "publish")) as vault, pytest.raises(BakeryError) as caught:
        vault.fields(PUBLISH)
    assert caught.value.message.startswith(f"Vault refuses {PUBLISH}: Error assuming role: AccessDenied: ")
    assert caught.value.exit_code == ExitCode.FAILED
    assert calls(cloud).count(("AssumeRole", HOME_ACCOUNT)) == 1, "not tried again: it is no outage"


def test_vaults_own_login_has_expired(server: VaultServer, ci: GitLab, cloud: StandIn) -> None:
    cloud.fault("sts", "GetCallerIdentity", error="ExpiredToken", status=403, times=10)
    with login(server, "publish", job_token(ci, "publish")) as vault, pytest.raises(BakeryError) as caught:
        vault.fields(PUBLISH)
    assert caught.value.message == f"Vault refuses {PUBLISH}: could not obtain sts client"
    assert "Vault's own login there" in caught.value.hint
    assert OWN_KEY["secret_key"] not in str(caught.value)


def test_an_aws_that_asks_to_slow_down(server: VaultServer, ci: GitLab, cloud: StandIn) -> None:
    server.client.write_data("aws/config/root", data={"max_retries": 0})  # else Vault tries for half a minute
    cloud.fault("sts", "AssumeRole", error="Throttling", status=400, times=1000)
    with login(server, "publish", job_token(ci, "publish")) as vault, pytest.raises(OutageError) as caught:
        vault.fields(PUBLISH)
    assert caught.value.exit_code == ExitCode.TRY_AGAIN
    assert cloud.actions().count("AssumeRole") == 1 + RETRIES


def test_a_role_that_a_role_assumes_has_no_more_than_that_hour(
    server: VaultServer, ci: GitLab, cloud: StandIn, tmp_path: Path
) -> None:
    """Where Vault's machine has a role, the engine has no key, and every role it assumes is chained."""
    machine = cloud.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{HOME_ACCOUNT}:role/vault", RoleSessionName="vault"
    )
    keys = machine["Credentials"]
    env = {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    with vault_server(tmp_path / "vault", env=env) as chained:
        set_up(chained, ci)
        set_up_aws(chained, cloud)
        with login(chained, "publish", job_token(ci, "publish")) as vault:
            assert connect(HOME_REGION, vault.fields(PUBLISH)).number == IMAGES_ACCOUNT
            longer = {"credential_type": "assumed_role", "role_arns": PUBLISH_ROLE, "default_sts_ttl": "2h"}
            chained.client.write_data("aws/roles/publish", data={**longer, "max_sts_ttl": "2h"})
            with pytest.raises(BakeryError, match="1 hour session limit"):
                vault.fields(PUBLISH)


def test_setting_up_again_changes_nothing(server: VaultServer, cloud: StandIn) -> None:
    before = server.client.read("aws/roles/bake")["data"], server.client.read("aws/config/root")["data"]
    administer(
        server,
        FILES / "set-up-aws.sh",
        BAKE_ROLE_ARN=BAKE_ROLE,
        PUBLISH_ROLE_ARN=PUBLISH_ROLE,
        APPLY_ROLE_ARN=APPLY_ROLE,
    )
    assert (server.client.read("aws/roles/bake")["data"], server.client.read("aws/config/root")["data"]) == before
    assert before[0]["role_arns"] == [BAKE_ROLE]
    assert before[1]["access_key"] == OWN_KEY["access_key"]


def test_a_rotated_key_is_known_to_nobody_but_vault(server: VaultServer, ci: GitLab, cloud: StandIn) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="vault")
    first = iam.create_access_key(UserName="vault")["AccessKey"]
    own = {"access_key": first["AccessKeyId"], "secret_key": first["SecretAccessKey"]}
    server.client.write_data("aws/config/root", data=own)
    administer(server, "vault", "write", "-f", "aws/config/rotate-root")
    (key,) = iam.list_access_keys(UserName="vault")["AccessKeyMetadata"]
    assert key["AccessKeyId"] != first["AccessKeyId"]
    with login(server, "publish", job_token(ci, "publish")) as vault:
        assert connect(HOME_REGION, vault.fields(PUBLISH)).number == IMAGES_ACCOUNT


@dataclass(frozen=True)
class Job:
    """A folder with a verified disk, in which a job of GitLab runs verbs."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    ci: GitLab

    def __call__(self, duty: str, *arguments: str) -> tuple[int, str, str]:
        self.monkeypatch.setenv("VAULT_ROLE", f"bakery-{duty}")
        self.monkeypatch.setenv("VAULT_ID_TOKEN", job_token(self.ci, duty))
        self.monkeypatch.setattr(sys, "argv", ["bakery", *arguments])
        code = cli.main()
        return code, *self.capsys.readouterr()


@pytest.fixture
def job(
    server: VaultServer,
    ci: GitLab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Job:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAULT_ADDR", server.address)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "tools.toml").touch()
    (tmp_path / "packer" / "images").mkdir(parents=True)
    (tmp_path / "packer" / "images" / "web.yaml").write_text(DEFINITION)
    leave_verified_disk(Project(tmp_path, tmp_path / "packer" / "images", tmp_path / ".bakery"))
    return Job(monkeypatch, capsys, ci)


def leave_verified_disk(project: Project) -> None:
    """What bake and verify hand on: a small disk of noise, reserved in the catalog."""
    catalog = open_catalog(project, "")
    version = catalog.reserve("web", "x86_64", "1.0", "0123abcd", {}, owner(project.workspace), "bake-private").version
    folder = project.artifact_folder(ImageVersion("web", "x86_64", version))
    folder.mkdir(parents=True)
    (folder / "disk.raw").write_bytes(random.Random(1).randbytes(1 << 20))  # noqa: S311 - noise, the same in each run
    process.run(["qemu-img", "convert", "-O", "qcow2", folder / "disk.raw", folder / "disk.qcow2"])
    disk, blocks = describe_disk(folder / "disk.qcow2")
    (folder / "blocks.txt").write_bytes(blocks.dump())
    created = "2026-01-01T00:00:00+00:00"
    # fmt: off
    artifact = Artifact(
        image="web", arch="x86_64", version=version, os="debian-12", mode="vm", input_key="0123abcd", inputs={},
        base=Base("debian bookworm", "", "f" * 64), disk=disk, commit="c0ffee", tools={}, seconds={}, created=created,
        log="",
    )
    definition = load(project.definitions, project.cache / "definitions.json").images["web"]
    verdict = Verdict(
        image="web", arch="x86_64", version=version, sha256=disk.sha256, passed=True,
        checks=tuple(Check(name, True) for name in expect_checks(project, definition, artifact)), accelerator="tcg",
        seconds={}, created=created,
    )
    # fmt: on
    save_signed(artifact, artifact, folder / "artifact.json", open_keyring(project), "bake-private")
    save_signed(verdict, artifact, folder / "verdict.json", open_keyring(project), "verify")


def test_a_job_publishes_as_the_role_that_vault_lends_it(job: Job, server: VaultServer, cloud: StandIn) -> None:
    checked, out, err = job("publish", "vault", "check", "--duty", "publish", "--json")
    assert (checked, err) == (0, "")
    assert [row["answer"] for row in json.loads(out)] == ["can be created by the aws engine"]
    assert calls(cloud) == [], "the check makes no credentials"

    code, out, err = job("publish", "publish", "web", "--json")
    assert code == 0, err
    assert [record["state"] for record in json.loads(out)] == ["complete"]
    assert calls(cloud)[:2] == [("GetCallerIdentity", HOME_ACCOUNT), ("AssumeRole", HOME_ACCOUNT)]
    assert {call["account"] for call in cloud.control("GET", "calls")[2:]} == {IMAGES_ACCOUNT}
    assert "RegisterImage" in cloud.actions()
    until_gone(server, PUBLISH)


def test_a_job_whose_role_aws_refuses_publishes_nothing(job: Job, cloud: StandIn) -> None:
    cloud.fault("sts", "AssumeRole", error="AccessDenied", status=403)
    code, _, err = job("publish", "publish", "web")
    assert code == 1
    assert f"Vault refuses {PUBLISH}: Error assuming role: AccessDenied" in err
    assert "hint: " in err
    assert calls(cloud)[-1] == ("AssumeRole", HOME_ACCOUNT), "and nothing after it"


def test_a_duty_without_the_role_is_told_before_anything_is_made(job: Job, cloud: StandIn) -> None:
    code, out, _ = job("apply", "vault", "check", "--duty", "publish", "--json")
    assert code == 1
    assert [row["problem"] for row in json.loads(out)] == [f"Vault denies access to {PUBLISH}"]
    assert job("apply", "publish", "web")[0] == 1
    assert calls(cloud) == []
