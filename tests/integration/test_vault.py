"""The Vault client against a real server."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from bakery.demo.stand_ins.vault import VaultServer
from bakery.host import process
from bakery.host.errors import BakeryError, NotFoundError, OutageError, render_rest
from bakery.host.vault import Secret, Vault
from bakery.host.vault.secrets import read_secrets
from bakery.model.definition import SecretRef
from doubles.vault import Issuer, jwt_role, vault_server
from doubles.vault import program as vault_program

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PATH = "secret/data/bakery/web"
VALUE = "canary-0815"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    with vault_server(tmp_path_factory.mktemp("vault")) as running:
        running.put(PATH, {"password": VALUE, "number": 5})
        yield running


@pytest.fixture(scope="module")
def policy(server: VaultServer) -> str:
    return server.policy("bake", "secret/data/bakery/*")


def login(server: VaultServer, **env: str) -> Vault:
    return Vault.login({"VAULT_ADDR": server.address, **env})


def lives(server: VaultServer, token: str) -> bool:
    try:
        login(server, VAULT_TOKEN=token).close()
    except BakeryError:
        return False
    return True


def leased(server: VaultServer, lease: str) -> bool:
    try:
        server.client.sys.read_lease(lease)
    except hvac.exceptions.InvalidRequest:
        return False
    return True


def test_a_token_reads_what_its_policy_allows(server: VaultServer, policy: str) -> None:
    token = server.new_token(policy)
    server.put("secret/data/other", {"password": "x"})
    with login(server, VAULT_TOKEN=token) as vault:
        assert vault.read(PATH, "password") == VALUE
        with pytest.raises(BakeryError, match="denies access to secret/data/other"):
            vault.read("secret/data/other", "password")
    assert lives(server, token), "the user's token is not ours to revoke"


def test_an_expired_token(server: VaultServer, policy: str) -> None:
    token = server.new_token(policy, ttl="1s")
    time.sleep(1.5)
    with pytest.raises(BakeryError, match="expired, revoked or wrong"):
        login(server, VAULT_TOKEN=token)


def test_a_token_without_the_default_policy(server: VaultServer, policy: str) -> None:
    made = server.client.auth.token.create(policies=[policy], no_default_policy=True)
    with login(server, VAULT_TOKEN=made["auth"]["client_token"]) as vault:
        assert vault.read(PATH, "password") == VALUE


def test_an_approle_logs_in_and_leaves_no_token(server: VaultServer, policy: str) -> None:
    role, secret = server.approle(policy)
    with login(server, VAULT_ROLE_ID=role, VAULT_SECRET_ID=secret) as vault:
        assert vault.read(PATH, "password") == VALUE
        token = vault.token
        assert lives(server, token)
    assert not lives(server, token)


def test_a_lease_ends_with_the_token_that_got_it(server: VaultServer) -> None:
    """Certificates stand in for credentials of a cloud: they are leases too, and this Vault can make them."""
    client = server.client
    client.sys.enable_secrets_engine("pki")
    client.write_data("pki/root/generate/internal", data={"common_name": "test"})
    client.write_data("pki/roles/test", data={"allow_any_name": True, "generate_lease": True, "max_ttl": "1h"})
    client.sys.create_or_update_policy("issue", 'path "pki/issue/test" { capabilities = ["update"] }')
    role, secret = server.approle("issue")
    with login(server, VAULT_ROLE_ID=role, VAULT_SECRET_ID=secret) as vault:
        own = hvac.Client(url=server.address, token=vault.token)
        lease = own.write_data("pki/issue/test", data={"common_name": "web"})["lease_id"]
        assert leased(server, lease)
    deadline = time.monotonic() + 10  # Vault revokes what a token got in the background
    while leased(server, lease) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not leased(server, lease)


def test_a_wrong_secret_id(server: VaultServer, policy: str) -> None:
    role, _ = server.approle(policy)
    with pytest.raises(BakeryError, match="refused the AppRole login"):
        login(server, VAULT_ROLE_ID=role, VAULT_SECRET_ID="00000000-0000-0000-0000-000000000000")


def test_a_ci_job_logs_in_with_its_jwt(server: VaultServer, policy: str) -> None:
    issuer = Issuer()
    jwt_role(server, "bake", issuer, {"project_id": "7", "ref_protected": "true"}, policy)
    token = issuer.token(server.address, project_id="7", ref_protected="true")
    with login(server, VAULT_ROLE="bake", VAULT_ID_TOKEN=token) as vault:
        assert vault.read(PATH, "password") == VALUE
        own = vault.token
    assert not lives(server, own)


def test_a_jwt_that_does_not_fit_is_refused_with_the_reason(server: VaultServer, policy: str) -> None:
    issuer = Issuer()
    fits: dict[str, Any] = {"project_id": "7", "ref_protected": "true"}
    jwt_role(server, "bake", issuer, fits, policy)
    wrong = {
        "audience": issuer.token("somebody else", **fits),
        "project_id": issuer.token(server.address, **{**fits, "project_id": "8"}),
        "ref_protected": issuer.token(server.address, **{**fits, "ref_protected": "false"}),
        "expired": issuer.token(server.address, -400, **fits),  # Vault allows 150 s of leeway
        "signature": Issuer().token(server.address, **fits),
    }
    for reason, token in wrong.items():
        with pytest.raises(BakeryError, match="refused the JWT login") as caught:
            login(server, VAULT_ROLE="bake", VAULT_JWT=token)
        assert reason in caught.value.detail
        assert token not in repr(vars(caught.value))


@pytest.mark.parametrize(
    ("path", "key", "message"),
    [
        (PATH, "pasword", f"the secret {PATH} has no key 'pasword'"),
        (PATH, "number", f"the value of 'number' in {PATH} is not text, but int"),
        ("secret/data/none", "password", "there is no secret at secret/data/none"),
        ("nowhere/data/none", "password", "there is no secret at nowhere/data/none"),
        ("sys/health", "password", "the secret sys/health has no key 'password'"),
        ("secret/bakery/web", "password", "secret/bakery/web is not an API path: this secrets engine keeps versions"),
    ],
)
def test_what_cannot_be_read(server: VaultServer, path: str, key: str, message: str) -> None:
    with Vault.login(server.env) as vault, pytest.raises(BakeryError, match=re.escape(message)) as caught:
        vault.read(path, key)
    assert caught.value.hint


def test_versions_that_are_gone(server: VaultServer) -> None:
    server.put("secret/data/deleted", {"password": VALUE})
    server.client.secrets.kv.v2.delete_latest_version_of_secret("deleted")
    server.put("secret/data/destroyed", {"password": VALUE})
    server.client.secrets.kv.v2.destroy_secret_versions("destroyed", [1])
    with Vault.login(server.env) as vault:
        for name in ("deleted", "destroyed"):
            with pytest.raises(NotFoundError, match=f"secret/data/{name} was deleted"):
                vault.read(f"secret/data/{name}", "password")


def test_a_version_is_read_after_a_rotation(server: VaultServer) -> None:
    server.put("secret/data/rotated", {"password": VALUE})
    server.put("secret/data/rotated", {"password": "newer"})
    with Vault.login(server.env) as vault:
        assert vault.read_version("secret/data/rotated", "password") == Secret("newer", 2)
        assert vault.read_version("secret/data/rotated", "password", 1) == Secret(VALUE, 1)
        server.client.secrets.kv.v2.delete_secret_versions("rotated", [1])
        with pytest.raises(NotFoundError, match=r"version 1 of .*/rotated, .* was deleted") as caught:
            vault.read_version("secret/data/rotated", "password", 1)
        assert "vault kv undelete -versions=1" in caught.value.hint
        server.client.secrets.kv.v2.destroy_secret_versions("rotated", [1])
        with pytest.raises(NotFoundError, match="was destroyed"):
            vault.read_version("secret/data/rotated", "password", 1)


def test_the_token_is_no_secret_of_an_image(server: VaultServer) -> None:
    secrets = {"id": SecretRef.model_construct(path="auth/token/lookup-self", key="id")}
    with Vault.login(server.env) as vault, pytest.raises(BakeryError, match="no secrets engine at auth/token"):
        read_secrets(vault, secrets, str)


def test_version_1_of_the_engine(server: VaultServer) -> None:
    server.client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    server.client.write_data("old/web", data={"password": VALUE})
    with Vault.login(server.env) as vault:
        assert vault.read("old/web", "password") == VALUE


def test_all_problems_at_once(server: VaultServer) -> None:
    secrets = {"a": SecretRef(path="secret/data/none", key="x"), "b": SecretRef(path=PATH, key="pass")}
    with Vault.login(server.env) as vault, pytest.raises(NotFoundError) as caught:
        read_secrets(vault, secrets, lambda name: f"web.yaml:{name}")
    assert caught.value.where == "web.yaml:a"
    assert render_rest(caught.value).startswith("web.yaml:b: ")


def test_a_vault_that_is_sealed_says_so_at_once(tmp_path: Path) -> None:
    with vault_server(tmp_path) as server:
        opened = Vault.login(server.env)
        server.client.sys.seal()
        began = time.monotonic()
        with pytest.raises(OutageError, match="is sealed"):
            Vault.login(server.env)
        assert time.monotonic() - began < 5, "a sealed Vault is not waited for"
        opened.close()


def test_all_fields_as_text(server: VaultServer) -> None:
    server.put("secret/data/target", {"username": "ada", "port": 443, "token": None, "verify": True})
    with Vault.login(server.env) as vault:
        assert vault.fields("secret/data/target") == {"username": "ada", "port": "443", "verify": "true"}


def test_packer_itself_hides_what_the_environment_brings(tmp_path: Path) -> None:
    """The `local` of the templates with a provisioner that prints the value."""
    template = (ROOT / "packer" / "templates" / "ansible.pkr.hcl").read_text()
    blocks = [
        re.search(rf"^{start} \{{.*?^\}}", template, re.MULTILINE | re.DOTALL)
        for start in ('variable "secret_values"', 'local "secrets"')
    ]
    texts = [block[0] for block in blocks if block]
    assert len(texts) == len(blocks)
    (tmp_path / "leak.pkr.hcl").write_text(
        "\n".join(texts)
        + """
source "null" "image" { communicator = "none" }
build {
  sources = ["source.null.image"]
  provisioner "shell-local" { inline = ["echo the value is $LEAK"] }
}
"""
    )
    packer = ROOT / ".bakery" / "tools" / "bin" / "packer"
    values = {"LEAK": VALUE, "PKR_VAR_secret_values": json.dumps({"DB": VALUE})}
    env = {**values, "CHECKPOINT_DISABLE": "1", "PACKER_CONFIG_DIR": str(tmp_path)}
    finished = process.run([packer, "build", tmp_path], env=env)
    assert "the value is <sensitive>" in finished.stdout
    assert VALUE not in finished.stdout


def test_the_stand_in_as_a_program(tmp_path: Path) -> None:
    """What the demo starts: it serves until it is told to stop, and its login is for us alone."""
    (tmp_path / "secrets.json").write_text('{"secret/data/web": {"password": "first"}}')
    program: list[str | Path] = [
        sys.executable,
        "-m",
        "bakery.demo.stand_ins.vault",
        "--program",
        vault_program(),
        "--port",
        "0",
    ]
    command: list[str | Path] = [*program, "--folder", tmp_path, "--secrets", tmp_path / "secrets.json"]
    child, login = process.spawn(command, log=tmp_path / "log"), tmp_path / "login.json"
    try:
        deadline = time.monotonic() + 30
        while not login.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert stat.S_IMODE(login.stat().st_mode) == 0o600
        env = json.loads(login.read_text())
        with Vault.login(env) as vault:
            assert vault.read("secret/data/web", "password") == "first"
            with pytest.raises(BakeryError, match="denies"):
                vault.read("secret/data/other", "password")
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert not any(env[name] in listed for name in ("VAULT_ROLE_ID", "VAULT_SECRET_ID"))
        os.kill(child.pid, 15)
        assert child.wait(30) == 0
        with pytest.raises(OutageError):
            Vault.login(env)
    finally:
        process.stop(child)
