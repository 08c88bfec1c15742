"""Signatures by the transit engine of a real Vault, with the rights that each duty has there."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.catalog import Catalog, open_store
from bakery.demo.stand_ins.vault import VaultServer
from bakery.host import process
from bakery.host.errors import BakeryError, NotFoundError, OutageError, UsageError
from bakery.host.vault import Vault
from bakery.model import documents
from bakery.signing import DUTIES, Duty, Keyring, Statement, Subject
from doubles.vault import vault_server

pytestmark = pytest.mark.integration

STATEMENT = Statement(
    subject=(Subject(name="web-1.0.0-x86_64", digest={"sha256": "a" * 64}),),
    predicate_type="urn:image-bakery:verdict:1",
    predicate={"passed": True},
)
SETTING = {"BAKERY_SIGNING_KEY": "vault:transit"}
# What the policy of a duty must allow: sign with its own key, and read the public keys of all.
POLICY = """
path "transit/sign/bakery-{duty}" {{ capabilities = ["update"] }}
path "transit/keys/bakery-*" {{ capabilities = ["read"] }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    with vault_server(tmp_path_factory.mktemp("vault")) as running:
        running.client.sys.enable_secrets_engine("transit")
        for duty in DUTIES:
            running.client.secrets.transit.create_key(f"bakery-{duty}", key_type="ed25519")
            running.client.sys.create_or_update_policy(f"bakery-{duty}", POLICY.format(duty=duty))
        yield running


def log_in(server: VaultServer, duty: Duty, folder: Path) -> Keyring:
    """The keys of a job with one duty."""
    token = server.new_token(f"bakery-{duty}")
    return Keyring(folder / "keys", {"VAULT_ADDR": server.address, "VAULT_TOKEN": token, **SETTING})


@pytest.mark.parametrize("duty", DUTIES)
def test_a_duty_signs_and_all_others_verify(server: VaultServer, tmp_path: Path, duty: Duty) -> None:
    envelope = log_in(server, duty, tmp_path).sign(STATEMENT, duty)
    for other in DUTIES:
        assert log_in(server, other, tmp_path).verify(envelope, duty, "here") == STATEMENT
    assert not (tmp_path / "keys").exists(), "no key of the workspace"


def test_a_duty_cannot_sign_for_another(server: VaultServer, tmp_path: Path) -> None:
    baking = log_in(server, "bake-private", tmp_path)
    with pytest.raises(BakeryError, match="Vault denies access to transit/sign/bakery-verify"):
        baking.sign(STATEMENT, "verify")
    envelope = baking.sign(STATEMENT, "bake-private")
    with pytest.raises(BakeryError, match="signed by no trusted key of the duty verify"):
        log_in(server, "publish", tmp_path).verify(envelope, "verify", "here")


def test_a_key_of_the_workspace_counts_for_nothing(server: VaultServer, tmp_path: Path) -> None:
    """Whoever writes to the workspace can make one there, before or after the job starts."""
    envelope = Keyring(tmp_path / "keys", {}).sign(STATEMENT, "verify")
    with pytest.raises(BakeryError, match="signed by no trusted key of the duty verify"):
        log_in(server, "publish", tmp_path).verify(envelope, "verify", "here")


def test_a_rotated_key(server: VaultServer, tmp_path: Path) -> None:
    """Old signatures count until an administrator says that they do not."""
    verifying, publishing = log_in(server, "verify", tmp_path), log_in(server, "publish", tmp_path)
    transit = server.client.secrets.transit
    old = verifying.sign(STATEMENT, "verify")
    transit.rotate_key("bakery-verify")
    new = verifying.sign(STATEMENT, "verify")
    first, second = (json.loads(envelope)["signatures"][0]["keyid"] for envelope in (old, new))
    assert first != second
    for envelope in (old, new):
        assert publishing.verify(envelope, "verify", "here") == STATEMENT
    newest = transit.read_key("bakery-verify")["data"]["latest_version"]
    transit.update_key_configuration("bakery-verify", min_decryption_version=newest)
    assert publishing.verify(new, "verify", "here") == STATEMENT
    with pytest.raises(BakeryError, match="signed by no trusted key of the duty verify"):
        publishing.verify(old, "verify", "here")


def test_offline_with_the_public_keys_in_a_file(server: VaultServer, tmp_path: Path) -> None:
    envelope = log_in(server, "publish", tmp_path).sign(STATEMENT, "publish")
    documents.save(log_in(server, "publish", tmp_path).trusted_keys(), tmp_path / "keys.json")
    offline = Keyring(tmp_path / "keys", {"BAKERY_TRUSTED_KEYS": str(tmp_path / "keys.json")})
    assert offline.verify(envelope, "publish", "here") == STATEMENT
    with pytest.raises(BakeryError, match="signed by no trusted key of the duty verify"):
        offline.verify(envelope, "verify", "here")


def test_a_file_from_before_a_rotation_stops_the_signature(server: VaultServer, tmp_path: Path) -> None:
    """Readers would refuse what the new version of the key signs, and an entry of a catalog cannot be taken back."""
    server.client.sys.enable_secrets_engine("transit", path="rotated")
    for duty in DUTIES:
        server.client.secrets.transit.create_key(f"bakery-{duty}", key_type="ed25519", mount_point="rotated")
    env = {**server.env, "BAKERY_SIGNING_KEY": "vault:rotated"}
    documents.save(Keyring(tmp_path, env).trusted_keys(), tmp_path / "keys.json")
    stale = Keyring(tmp_path, {**env, "BAKERY_TRUSTED_KEYS": str(tmp_path / "keys.json")})
    assert stale.verify(stale.sign(STATEMENT, "publish"), "publish", "here") == STATEMENT
    server.client.secrets.transit.rotate_key("bakery-publish", mount_point="rotated")
    with pytest.raises(UsageError, match="this key may not sign") as caught:
        stale.sign(STATEMENT, "publish")
    assert caught.value.where == "rotated/sign/bakery-publish"


def test_openssl_verifies_it_as_well(server: VaultServer, tmp_path: Path) -> None:
    """Another tool, by the specification of DSSE."""
    envelope = json.loads(log_in(server, "publish", tmp_path).sign(STATEMENT, "publish"))
    payload = base64.b64decode(envelope["payload"])
    versions = server.client.secrets.transit.read_key("bakery-publish")["data"]["keys"]
    raw = base64.b64decode(versions[max(versions, key=int)]["public_key"])
    # RFC 8410: the prefix of SubjectPublicKeyInfo of an ed25519 key.
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + raw)
    (tmp_path / "signed").write_bytes(b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload))
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    # fmt: off
    done = process.run([
        "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "key.der", "-keyform", "DER", "-rawin",
        "-in", tmp_path / "signed", "-sigfile", tmp_path / "signature",
    ])
    # fmt: on
    assert "Signature Verified Successfully" in done.stdout


class TestCatalog:
    """The jobs of a pipeline at one catalog."""

    @staticmethod
    def open(server: VaultServer, duty: Duty, folder: Path) -> Catalog:
        return Catalog(open_store(str(folder / "catalog")), log_in(server, duty, folder))

    def test_a_bake_reserves_and_publish_completes_and_promotes(self, server: VaultServer, tmp_path: Path) -> None:
        baking, publishing = (self.open(server, duty, tmp_path) for duty in ("bake-private", "publish"))
        reserved = baking.reserve("web", "x86_64", "1.0", "key", {}, "pipeline 7", "bake-private")
        complete = publishing.revise(replace(publishing.record(reserved), state="complete"), "published")
        entry = publishing.move(complete, "stable", "tested", None)
        testing = self.open(server, "verify", tmp_path)
        assert (testing.record(reserved), testing.channel("web", "x86_64", "stable")) == (complete, entry)

    def test_a_bake_cannot_complete_what_it_reserved(self, server: VaultServer, tmp_path: Path) -> None:
        baking = self.open(server, "bake-public", tmp_path)
        reserved = baking.reserve("web", "x86_64", "1.0", "key", {}, "pipeline 7", "bake-public")
        with pytest.raises(BakeryError, match="Vault denies access to transit/sign/bakery-publish"):
            baking.revise(replace(reserved, state="complete"), "published")
        assert self.open(server, "publish", tmp_path).record(reserved).state == "reserved"

    def test_vault_is_asked_once_for_the_keys(
        self, server: VaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(3):
            reserving = self.open(server, "bake-private", tmp_path)
            reserving.reserve("web", "x86_64", f"{number}.0", "key", {}, "pipeline 7", "bake-private")
        asked: list[str] = []
        read = Vault.public_keys

        def observe(vault: Vault, mount: str, key: str) -> dict[int, str]:
            asked.append(key)
            return read(vault, mount, key)

        monkeypatch.setattr(Vault, "public_keys", observe)
        assert len(self.open(server, "verify", tmp_path).records("web", "x86_64")) == 3
        assert asked == ["bakery-bake-private", "bakery-bake-public", "bakery-publish"]


def test_a_key_of_another_type(server: VaultServer, tmp_path: Path) -> None:
    server.client.sys.enable_secrets_engine("transit", path="symmetric")
    for duty in DUTIES:
        server.client.secrets.transit.create_key(f"bakery-{duty}", key_type="aes256-gcm96", mount_point="symmetric")
    with pytest.raises(UsageError, match="the key at symmetric/keys/bakery-verify is not of the type ed25519"):
        Keyring(tmp_path, {**server.env, "BAKERY_SIGNING_KEY": "vault:symmetric"}).verify(b"{}", "verify", "here")


def test_a_key_that_was_not_made(server: VaultServer, tmp_path: Path) -> None:
    env = {**server.env, "BAKERY_SIGNING_KEY": "vault:nowhere"}
    with pytest.raises(NotFoundError, match="there is no signing key at nowhere/sign/bakery-verify"):
        Keyring(tmp_path, env).sign(STATEMENT, "verify")
    with pytest.raises(NotFoundError, match="there is no signing key at nowhere/keys/bakery-verify"):
        Keyring(tmp_path, env).verify(b"{}", "verify", "here")


def test_a_vault_that_does_not_answer(tmp_path: Path) -> None:
    env = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "x", **SETTING}
    with pytest.raises(OutageError):
        Keyring(tmp_path, env).verify(b"{}", "verify", "here")
