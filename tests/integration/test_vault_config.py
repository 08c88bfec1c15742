"""The stack vault-config on a real Vault: a stand-in for its provider puts it there, and then it has to behave.

What duties may is in test_vault_duties.py, and autopilot, which dev mode has not, in test_vault_raft.py.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import pytest

import doubles.aws.client as aws
from bakery.clouds.aws.session import connect
from bakery.demo.stand_ins.vault import VaultServer
from bakery.host.errors import BakeryError
from doubles.gitlab import GitLab, gitlab
from doubles.vault import vault_server
from doubles.vault_provider import VaultProvider
from integration.duties import FILES, IMAGES_ACCOUNT, administer, job_token, log_in_at_aws, login
from integration.vault_stack import AZURE, section, synthesise, take_away_kv

pytestmark = pytest.mark.integration

MACHINE = f"arn:aws:iam::{IMAGES_ACCOUNT}:role/vault"
KEY = "transit/keys/bakery-publish"
CANARY = "canary-4711"


@dataclass(frozen=True)
class Deployed:
    """A Vault with the stack on it, put there by an administrator who is not its root."""

    server: VaultServer
    provider: VaultProvider
    stack: dict[str, Any]
    folder: Path

    def entries(self, device: str) -> list[dict[str, Any]]:
        """What an audit device wrote."""
        log = {"file": self.folder / "audit.log", "stdout": self.folder / "vault.log"}[device]
        return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def ci() -> Iterator[GitLab]:
    with gitlab() as found:
        yield found


@pytest.fixture(scope="module")
def cloud() -> Iterator[aws.StandIn]:
    with aws.running() as found:
        yield found


@pytest.fixture(scope="module")
def machine(cloud: aws.StandIn) -> dict[str, str]:
    """What the SDKs find on Vault's machine: the credentials of its role, here by the environment."""
    keys = cloud.client("sts").assume_role(RoleArn=MACHINE, RoleSessionName="i-1")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


@pytest.fixture(scope="module")
def deployed(ci: GitLab, machine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("vault")
    with vault_server(folder, env=machine) as server:
        take_away_kv(server)
        policy = (FILES / "administrator.hcl").read_text()
        server.client.sys.create_or_update_policy("administrator", policy)
        provider = VaultProvider(hvac.Client(url=server.address, token=server.new_token("administrator")))
        found = section(server.address, ci, folder, azure=AZURE, snapshot_role_arn=MACHINE)
        stack = synthesise(found, folder / "out")
        provider.apply(stack)
        server.put("secret/data/bakery/web", {"password": CANARY})
        yield Deployed(server, provider, stack, folder)


def test_a_second_plan_shows_no_change(deployed: Deployed) -> None:
    assert deployed.provider.plan(deployed.stack) == []


def test_what_was_changed_by_hand_is_shown_and_mended(deployed: Deployed) -> None:
    client = deployed.server.client
    client.sys.create_or_update_policy("bakery-validate", 'path "*" { capabilities = ["read"] }')
    client.write_data("auth/jwt/role/bakery-apply", data={"bound_claims": {"project_id": "8"}, "role_type": "jwt"})
    client.write_data(f"{KEY}/config", data={"deletion_allowed": True})
    changes = [change.split()[-1] for change in deployed.provider.plan(deployed.stack)]
    assert sorted(changes) == ["bound_claims", "deletion_allowed", "policy"]
    deployed.provider.apply(deployed.stack)
    assert deployed.provider.plan(deployed.stack) == []


def test_the_key_signs_and_never_leaves(deployed: Deployed) -> None:
    client = deployed.server.client
    manifest = base64.b64encode(b"manifest").decode()
    signature = client.write_data("transit/sign/bakery-publish", data={"input": manifest})["data"]["signature"]
    checked = {"input": manifest, "signature": signature}
    assert client.write_data("transit/verify/bakery-publish", data=checked)["data"]["valid"] is True
    about = client.read(KEY)["data"]
    assert about["type"] == "ed25519"
    assert about["keys"]["1"]["public_key"]
    with pytest.raises(hvac.exceptions.InvalidRequest, match="deletion is not allowed"):
        client.delete(KEY)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="not exportable"):
        client.read("transit/export/signing-key/bakery-publish")
    with pytest.raises(hvac.exceptions.InternalServerError, match="exporting is disallowed"):
        client.read("transit/backup/bakery-publish")


def test_a_keeper_writes_secrets_and_reads_none(deployed: Deployed) -> None:
    server = deployed.server
    server.client.sys.create_or_update_policy("keeper", (FILES / "keeper.hcl").read_text())
    keeper = hvac.Client(url=server.address, token=server.new_token("keeper"))
    place = {"mount_point": "secret", "path": "bakery/kept"}
    written = keeper.secrets.kv.v2.create_or_update_secret(secret={"password": CANARY}, **place)["data"]["version"]
    assert keeper.secrets.kv.v2.read_secret_metadata(**place)["data"]["current_version"] == written
    with pytest.raises(hvac.exceptions.Forbidden):
        keeper.secrets.kv.v2.read_secret_version(**place, raise_on_deleted_version=True)
    with pytest.raises(hvac.exceptions.Forbidden):
        keeper.sys.create_or_update_policy("bakery-validate", "")
    keeper.write_data("transit/keys/bakery-publish/rotate", data={})
    assert set(server.client.read(KEY)["data"]["keys"]) == {"1", "2"}


def test_both_audit_devices_show_which_paths_a_bake_touched(deployed: Deployed, ci: GitLab) -> None:
    before = {device: len(deployed.entries(device)) for device in ("file", "stdout")}
    with login(deployed.server, "bake-private", job_token(ci, "bake-private")) as vault:
        assert vault.read("secret/data/bakery/web", "password") == CANARY
        with pytest.raises(BakeryError, match="denies"):
            vault.read("aws/sts/bake", "access_key")
        token = vault.token
    for device, start in before.items():
        written = deployed.entries(device)[start:]
        asked = [entry["request"]["path"] for entry in written if entry["type"] == "request"]
        assert asked == ["auth/jwt/login", "secret/data/bakery/web", "aws/sts/bake", "auth/token/revoke-self"]
        refused = {entry["request"]["path"] for entry in written if "permission denied" in entry.get("error", "")}
        assert refused == {"aws/sts/bake"}
        text = json.dumps(written)
        assert CANARY not in text
        assert token not in text


def test_vault_lends_roles_without_a_key_of_its_own(
    deployed: Deployed, ci: GitLab, cloud: aws.StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    assert deployed.server.client.read("aws/config/root")["data"]["access_key"] == ""
    log_in_at_aws(deployed.server, cloud)
    with login(deployed.server, "publish", job_token(ci, "publish")) as vault:
        assert connect(aws.HOME_REGION, vault.fields("aws/sts/publish")).number == IMAGES_ACCOUNT
    deployed.provider.apply(deployed.stack)


def snapshot_login(
    deployed: Deployed, keys: dict[str, str], header: str = "127.0.0.1"
) -> subprocess.CompletedProcess[str]:
    """As the machines' timer does, with nothing but the role of the machine."""
    tools = FILES.parent / ".bakery" / "tools" / "bin"
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "VAULT_ADDR": deployed.server.address, **keys}
    details = ["role=bakery-snapshot", f"header_value={header}", f"region={aws.HOME_REGION}"]
    command = ["vault", "login", "-method=aws", "-token-only", *details]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def iam(deployed: Deployed, cloud: aws.StandIn) -> Iterator[None]:
    """Vault asks the stand-in who signed; in the stack it is the region's STS."""
    deployed.server.client.write_data("auth/aws/config/client", data={"sts_endpoint": cloud.url})
    yield
    deployed.provider.apply(deployed.stack)


@pytest.mark.usefixtures("iam")
def test_machines_log_in_to_take_snapshots_and_for_nothing_else(deployed: Deployed, machine: dict[str, str]) -> None:
    done = snapshot_login(deployed, machine)
    assert done.returncode == 0, done.stderr
    may = {"sys/storage/raft/snapshot": ["read"], "sys/storage/raft/autopilot/state": ["read"]}
    others = ("sys/storage/raft/snapshot-force", "sys/storage/raft/remove-peer", "secret/data/bakery/web")
    expected = may | {path: ["deny"] for path in (*others, "aws/sts/bake")}
    found = deployed.server.client.sys.get_capabilities([*expected], token=done.stdout.strip())["data"]
    assert {path: found[path] for path in expected} == expected


@pytest.mark.usefixtures("iam")
def test_other_roles_and_what_was_signed_for_others_take_none(
    deployed: Deployed, machine: dict[str, str], cloud: aws.StandIn
) -> None:
    other = cloud.client("sts").assume_role(RoleArn=f"{MACHINE}-other", RoleSessionName="i-2")["Credentials"]
    keys = {
        "AWS_ACCESS_KEY_ID": other["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": other["SecretAccessKey"],
        "AWS_SESSION_TOKEN": other["SessionToken"],
    }
    refused = snapshot_login(deployed, keys)
    assert refused.returncode != 0
    assert "does not belong to the role" in refused.stderr
    replayed = snapshot_login(deployed, machine, header="vault.example.org")
    assert replayed.returncode != 0
    assert "expected" in replayed.stderr


def test_azure_waits_for_a_secret_that_terraform_never_sees(deployed: Deployed) -> None:
    administer(deployed.server, "vault", "write", "azure/config", "client_secret=-", stdin=CANARY)
    assert deployed.provider.plan(deployed.stack) == []
    assert CANARY not in json.dumps(deployed.stack)


def test_an_audit_device_is_not_replaced_unseen(deployed: Deployed, ci: GitLab) -> None:
    moved = section(deployed.server.address, ci, deployed.folder / "elsewhere", azure=AZURE, snapshot_role_arn=MACHINE)
    changes = deployed.provider.plan(synthesise(moved, deployed.folder / "moved"))
    assert changes == ["update vault_audit.audit-file: options"]
