"""`bakery vault check` against a real server: what is right, and everything that would break a build later."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bakery import cli
from bakery.demo.stand_ins.vault import VaultServer
from bakery.signing import DUTIES
from doubles.gitlab import gitlab
from doubles.vault import jwt_role, vault_server

pytestmark = pytest.mark.integration

DEFINITION = """\
name: web
description: A page
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu: {debootstrap: {suite: bookworm}}
secrets:
  password:
    path: secret/data/bakery/web
    key: password
"""
AWS = """\
targets: [aws]
distribution:
  aws:
    regions: [eu-central-1]
    credentials: cloud/sts/bake
"""
POLICY = ("secret/data/bakery/*", "team/kv/data/*", "old/*", "cloud/sts/bake")


@dataclass(frozen=True)
class Checked:
    code: int
    rows: list[dict[str, Any]]
    out: str
    err: str


@dataclass(frozen=True)
class LoggedInProject:
    """A folder with one definition, and a login that may read what POLICY says."""

    server: VaultServer
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def write(self, text: str) -> None:
        Path("packer/images/web.yaml").write_text(text)

    def naming(self, path: str, key: str = "password") -> None:
        self.write(DEFINITION.replace("secret/data/bakery/web", path).replace("key: password", f"key: {key}"))

    def __call__(self, *arguments: str) -> Checked:
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["bakery", "vault", "check", *arguments])
        code = cli.main()
        out, err = self.capsys.readouterr()
        return Checked(code, json.loads(out) if "--json" in arguments and out else [], out, err)

    def problem(self) -> tuple[str, str]:
        """The only finding, which has to be a bad one."""
        found = self("--json")
        assert found.code == 1
        (row,) = found.rows
        assert row["answer"] == ""
        return row["problem"], row["hint"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    folder = tmp_path_factory.mktemp("vault")
    with vault_server(folder) as running:
        client = running.client
        client.sys.enable_audit_device("file", options={"file_path": str(folder / "audit.log")})
        client.sys.enable_secrets_engine("kv", path="team/kv", options={"version": "2"})
        client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
        client.sys.enable_secrets_engine("aws", path="cloud")
        running.policy("builder", *POLICY)
        for path in ("secret/data/bakery/web", "team/kv/data/web"):
            running.put(path, {"password": "canary-0815", "number": 5})
        client.write_data("old/web", data={"password": "canary-0815"})
        yield running


@pytest.fixture
def shop(
    server: VaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> LoggedInProject:
    (tmp_path / "packer" / "images").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "tools.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAULT_ADDR", server.address)
    monkeypatch.setenv("VAULT_TOKEN", server.new_token("builder"))
    found = LoggedInProject(server, monkeypatch, capsys)
    found.write(DEFINITION)
    return found


def audited(server: VaultServer) -> list[str]:
    """The path of every request so far."""
    (device,) = server.client.sys.list_enabled_audit_devices()["data"].values()
    lines = [json.loads(line) for line in Path(device["options"]["file_path"]).read_text().splitlines()]
    return [line["request"]["path"] for line in lines if line["type"] == "request"]


def test_all_is_well(shop: LoggedInProject) -> None:
    shop.write(DEFINITION + AWS)
    checked = shop()
    assert (checked.code, checked.err) == (0, "")
    secret, aws = (line.split() for line in checked.out.splitlines()[1:3])
    assert secret[:4] == ["ok", "packer/images/web.yaml:10", "secrets.password", "secret/data/bakery/web"]
    assert aws[:4] == ["ok", "packer/images/web.yaml:16", "distribution.aws.credentials", "cloud/sts/bake"]
    assert checked.out.endswith(f"login works at {shop.server.address}\n")
    assert "canary" not in checked.out


def test_credentials_that_would_be_made_are_not_asked_for(shop: LoggedInProject) -> None:
    """Seen by Vault's audit log: the one path is read, of the other only the right to it."""
    shop.write(DEFINITION + AWS)
    before = len(audited(shop.server))
    assert shop().code == 0
    asked = audited(shop.server)[before:]
    assert "secret/data/bakery/web" in asked
    assert "sys/capabilities-self" in asked
    assert not [path for path in asked if path.startswith("cloud/")]


@pytest.mark.parametrize("path", ["team/kv/data/web", "old/web", "/secret/data/bakery/web/"])
def test_other_places_that_are_right(shop: LoggedInProject, path: str) -> None:
    shop.naming(path)
    assert shop().code == 0


@pytest.mark.parametrize(
    ("path", "key", "problem", "hint"),
    [
        ("secret/data/bakery/none", "password", "there is no secret at secret/data/bakery/none", "data/"),
        ("secret/data/bakery/web", "pasword", "has no key 'pasword'", "did you mean 'password'?"),
        ("secret/data/bakery/web", "number", "the value of 'number' in secret/data/bakery/web is not text", "string"),
        ("secret/data/other", "password", "Vault denies access to secret/data/other", "must allow 'read'"),
        ("nowhere/web", "password", "Vault denies access to nowhere/web", "must allow 'read'"),
        # As the vault command writes paths. The policy allows only the right one, so reading would say "denied".
        ("secret/bakery/web", "password", "is not an API path", "write it as secret/data/bakery/web"),
        ("team/kv/web", "password", "is not an API path", "write it as team/kv/data/web"),
        ("old/data/web", "password", "there is no secret at old/data/web", "KV version 2 has data/"),
    ],
)
def test_what_is_wrong(shop: LoggedInProject, path: str, key: str, problem: str, hint: str) -> None:
    shop.naming(path, key)
    found = shop.problem()
    assert problem in found[0]
    assert hint in found[1]


def test_a_soft_deleted_version(shop: LoggedInProject) -> None:
    shop.server.put("secret/data/bakery/gone", {"password": "x"})
    shop.server.client.secrets.kv.v2.delete_latest_version_of_secret("bakery/gone")
    shop.naming("secret/data/bakery/gone")
    problem, hint = shop.problem()
    assert problem == "the newest version of the secret secret/data/bakery/gone was deleted"
    assert "undelete" in hint


def test_credentials_that_may_not_be_made(shop: LoggedInProject) -> None:
    shop.write(DEFINITION + AWS.replace("sts/bake", "sts/other"))
    checked = shop("--json")
    assert checked.code == 1
    assert [row["problem"] for row in checked.rows] == ["", "Vault denies access to cloud/sts/other"]


def test_static_credentials_need_both_keys(shop: LoggedInProject) -> None:
    shop.server.put("secret/data/bakery/aws", {"access_key": "AKIA", "secret": "x"})
    shop.write(DEFINITION + AWS.replace("cloud/sts/bake", "secret/data/bakery/aws"))
    shop.monkeypatch.setenv("VAULT_TOKEN", shop.server.token)
    problem = shop("--json").rows[1]["problem"]
    assert problem == "the secret secret/data/bakery/aws has no key 'secret_key'"


def test_no_engine_where_the_policy_allows_all(shop: LoggedInProject) -> None:
    shop.monkeypatch.setenv("VAULT_TOKEN", shop.server.token)
    shop.naming("nowhere/web")
    assert shop.problem()[0] == "there is no secrets engine at nowhere/web"


def test_a_token_that_may_not_ask_for_its_rights(shop: LoggedInProject) -> None:
    made = shop.server.client.auth.token.create(policies=["builder"], no_default_policy=True, no_parent=True)
    shop.monkeypatch.setenv("VAULT_TOKEN", made["auth"]["client_token"])
    assert shop().code == 0, "reading needs no such right"
    shop.write(DEFINITION + AWS)
    row = shop("--json").rows[1]
    assert row["problem"] == "Vault denies access to sys/capabilities-self"
    assert "must allow 'update'" in row["hint"]


def test_all_problems_at_once(shop: LoggedInProject) -> None:
    shop.write(DEFINITION.replace("key: password", "key: none") + AWS.replace("sts/bake", "sts/other"))
    checked = shop()
    assert checked.code == 1
    assert [line.split()[0] for line in checked.out.splitlines()[1:3]] == ["WRONG", "WRONG"]
    assert checked.err.startswith("error: 2 of 2 ")
    assert "\nhint: " in checked.err


def test_an_expired_token(shop: LoggedInProject) -> None:
    shop.monkeypatch.setenv("VAULT_TOKEN", shop.server.new_token("builder", ttl="1s"))
    time.sleep(1.5)
    checked = shop()
    assert (checked.code, checked.out) == (1, "")
    assert "VAULT_TOKEN is expired, revoked or wrong" in checked.err


def test_every_way_to_log_in(shop: LoggedInProject) -> None:
    shop.monkeypatch.delenv("VAULT_TOKEN")
    role, secret = shop.server.approle("builder")
    with shop.monkeypatch.context() as patch:
        patch.setenv("VAULT_ROLE_ID", role)
        patch.setenv("VAULT_SECRET_ID", secret)
        assert shop().code == 0
    with gitlab() as ci, shop.monkeypatch.context() as patch:
        jwt_role(shop.server, "bake", ci, {"project_id": "7"}, "builder")
        patch.setenv("VAULT_ROLE", "bake")
        patch.setenv("VAULT_ID_TOKEN", ci.job(shop.server.address))
        assert shop().code == 0
        patch.setenv("VAULT_ID_TOKEN", ci.job(shop.server.address, project_id="8"))
        assert "Vault refused the JWT login" in shop().err
    assert "no login for Vault" in shop().err


def test_nothing_to_check_still_proves_the_login(shop: LoggedInProject) -> None:
    shop.write(DEFINITION.partition("secrets:")[0])
    checked = shop()
    assert checked.code == 0
    assert checked.out.startswith(f"login works at {shop.server.address}; nothing to check: ")
    shop.monkeypatch.setenv("VAULT_TOKEN", "wrong")
    assert shop().code == 1


class TestSigning:
    """A job signs with the key of its duty, which it must be able to do before it works for hours."""

    @pytest.fixture(autouse=True)
    def keys(self, shop: LoggedInProject, monkeypatch: pytest.MonkeyPatch) -> None:
        client = shop.server.client
        if "signatures/" not in client.sys.list_mounted_secrets_engines()["data"]:
            client.sys.enable_secrets_engine("transit", path="signatures")
            for duty in DUTIES:
                client.secrets.transit.create_key(f"bakery-{duty}", key_type="ed25519", mount_point="signatures")
        monkeypatch.setenv("BAKERY_SIGNING_KEY", "vault:signatures")

    def test_a_right_that_is_missing(self, shop: LoggedInProject) -> None:
        done = shop("--json", "--duty", "bake-private")
        row = done.rows[-1]
        assert (done.code, row["path"]) == (1, "signatures/sign/bakery-bake-private")
        assert row["problem"] == "Vault denies access to signatures/sign/bakery-bake-private"

    @pytest.mark.parametrize(
        ("options", "answers"),
        [
            ((), {}),
            (("--duty", "apply"), {"public keys": "can be read"}),
            (("--duty", "bake-private"), {"public keys": "can be read", "signatures": "can sign"}),
        ],
    )
    def test_jobs_read_the_keys_of_the_catalog_and_some_sign(
        self,
        shop: LoggedInProject,
        monkeypatch: pytest.MonkeyPatch,
        options: tuple[str, ...],
        answers: dict[str, str],
    ) -> None:
        monkeypatch.setenv("VAULT_TOKEN", str(shop.server.env["VAULT_TOKEN"]))
        rows = [row for row in shop("--json", *options).rows if row["where"] == "BAKERY_SIGNING_KEY"]
        assert {row["name"]: row["answer"] for row in rows} == answers

    def test_a_command_without_a_login_can_verify_the_catalog(
        self, shop: LoggedInProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A job applies stacks with the credentials that Vault lends, and no way back to Vault."""
        monkeypatch.setenv("VAULT_TOKEN", str(shop.server.env["VAULT_TOKEN"]))
        program = str(Path(sys.executable).with_name("bakery"))
        monkeypatch.setattr(sys, "argv", ["bakery", "vault", "exec", "--", "env", "-u", "VAULT_TOKEN", program, "keys"])
        assert cli.main() == 0
        assert shop.capsys.readouterr().out.count('"public"') == len(DUTIES)


def test_a_sealed_vault(shop: LoggedInProject, tmp_path: Path) -> None:
    with vault_server(tmp_path / "sealed") as server:
        server.client.sys.seal()
        shop.monkeypatch.setenv("VAULT_ADDR", server.address)
        checked = shop()
    assert checked.code == 75, "the same command may succeed later"
    assert "is sealed\nhint: unseal it" in checked.err
