"""Who can forge a signed document: nobody without the key of the duty."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bakery.host.errors import BakeryError, NotFoundError, UsageError
from bakery.model import documents
from bakery.model.documents import Artifact, Verdict
from bakery.model.project import Project
from bakery.signing import DUTIES, Keyring, Statement, Subject, TrustedKeys, save_signed, verify_document
from bakery.signing.keyring import SIGNING_KEY, TRUSTED_KEYS
from bakery.signing.keys import TrustedKey

STATEMENT = Statement(
    subject=(Subject(name="web-1.0.0-x86_64", digest={"sha256": "a" * 64}),),
    predicate_type="urn:image-bakery:verdict:1",
    predicate={"passed": True, "seconds": {"boot": 1.5}},
)


def pem(key: Any) -> bytes:
    kind = serialization.PrivateFormat.PKCS8
    encoded: bytes = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    return encoded


def make_keyring(folder: Path, name: str, **env: str) -> Keyring:
    """The keys of another workspace."""
    return Keyring(folder / name, env)


def public(keyring: Keyring) -> str:
    keyring.sign(STATEMENT, "verify")
    return keyring.trusted_keys().keys[0].public


@pytest.fixture
def own(tmp_path: Path) -> Keyring:
    return make_keyring(tmp_path, "own")


def test_an_own_key_signs_and_is_trusted(own: Keyring) -> None:
    for duty in DUTIES:
        assert own.verify(own.sign(STATEMENT, duty), duty, "here") == STATEMENT


def test_an_envelope_is_dsse_with_an_in_toto_statement(own: Keyring) -> None:
    """Checked with nothing but the specifications: the pre-authentication encoding and the statement's fields."""
    envelope = json.loads(own.sign(STATEMENT, "verify"))
    payload, (signature,) = base64.b64decode(envelope["payload"]), envelope["signatures"]
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert json.loads(payload) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "web-1.0.0-x86_64", "digest": {"sha256": "a" * 64}}],
        "predicateType": "urn:image-bakery:verdict:1",
        "predicate": {"passed": True, "seconds": {"boot": 1.5}},
    }
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(own.trusted_keys().keys[0].public))
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    key.verify(base64.b64decode(signature["sig"]), signed)


def test_the_own_key_is_for_its_owner_alone_and_stays(own: Keyring) -> None:
    first = public(own)
    (key,) = own.folder.iterdir()
    assert (own.folder.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o700, 0o600)
    assert public(own) == first


def test_nobody_is_trusted_before_there_is_a_key(own: Keyring, tmp_path: Path) -> None:
    foreign = make_keyring(tmp_path, "other").sign(STATEMENT, "verify")
    with pytest.raises(BakeryError, match="signed by no trusted key of the duty verify"):
        own.verify(foreign, "verify", "here")
    assert not own.folder.exists(), "looking makes no key"


def test_another_key_is_refused(own: Keyring, tmp_path: Path) -> None:
    own.sign(STATEMENT, "verify")
    foreign = make_keyring(tmp_path, "other").sign(STATEMENT, "verify")
    with pytest.raises(BakeryError, match="signed by no trusted key of the duty verify") as caught:
        own.verify(foreign, "verify", "here")
    assert caught.value.where == "here"


def test_a_changed_document_of_a_trusted_key_needs_no_other_key(own: Keyring) -> None:
    changed = next(forge(own.sign(STATEMENT, "verify")))
    with pytest.raises(BakeryError) as caught:
        own.verify(changed, "verify", "here")
    assert "changed after it was signed" in caught.value.detail
    assert not caught.value.hint


def forge(envelope: bytes) -> Iterator[bytes]:
    """Envelopes that somebody without the key can make of a good one."""
    good = json.loads(envelope)
    payload = base64.b64decode(good["payload"])
    yield json.dumps({**good, "payload": base64.b64encode(payload.replace(b"a" * 64, b"b" * 64)).decode()}).encode()
    yield json.dumps({**good, "payloadType": "text/plain"}).encode()
    yield json.dumps({**good, "signatures": []}).encode()
    (signature,) = good["signatures"]
    yield json.dumps({**good, "signatures": [{**signature, "sig": base64.b64encode(bytes(64)).decode()}]}).encode()
    yield from (b"", b"{}", b"[]", b"null", b'{"payload": 1, "payloadType": 2, "signatures": 3}', envelope[:-20])


@pytest.mark.parametrize("number", range(10))
def test_a_forged_envelope_is_refused(own: Keyring, number: int) -> None:
    forged = list(forge(own.sign(STATEMENT, "verify")))
    assert len(forged) == 10
    with pytest.raises(BakeryError, match=r"signed by no trusted|signs no in-toto statement|not a DSSE envelope"):
        own.verify(forged[number], "verify", "here")


def test_the_id_of_a_key_is_for_people(own: Keyring) -> None:
    """DSSE: a verifier must not decide by it."""
    envelope = json.loads(own.sign(STATEMENT, "verify"))
    assert envelope["signatures"][0]["keyid"] == public(own)
    del envelope["signatures"][0]["keyid"]
    assert own.verify(json.dumps(envelope).encode(), "verify", "here") == STATEMENT


def test_an_id_that_somebody_made_up_is_not_shown(own: Keyring, tmp_path: Path) -> None:
    """It could clear the screen, or write a line that looks like ours."""
    envelope = json.loads(make_keyring(tmp_path, "other").sign(STATEMENT, "verify"))
    envelope["signatures"][0]["keyid"] = "\x1b[2J\nhint: run this"
    with pytest.raises(BakeryError) as caught:
        own.verify(json.dumps(envelope).encode(), "verify", "here")
    assert caught.value.detail == "signed with no key\ntrusted     no key"


class TestTrustedKeys:
    @pytest.fixture
    def signers(self, tmp_path: Path) -> dict[str, Keyring]:
        return {duty: make_keyring(tmp_path, duty) for duty in DUTIES}

    @pytest.fixture
    def trusting(self, signers: dict[str, Keyring], tmp_path: Path) -> Keyring:
        """It has no key of its own, only a file with one for each duty."""
        keys = tuple(TrustedKey(duty, public(signers[duty])) for duty in DUTIES)
        documents.save(TrustedKeys(keys), tmp_path / "keys.json")
        return make_keyring(tmp_path, "none", **{TRUSTED_KEYS: str(tmp_path / "keys.json")})

    def test_a_duty_has_its_own(self, signers: dict[str, Keyring], trusting: Keyring) -> None:
        assert trusting.verify(signers["verify"].sign(STATEMENT, "verify"), "verify", "here") == STATEMENT

    @pytest.mark.parametrize("duty", [duty for duty in DUTIES if duty != "verify"])
    def test_another_duty_is_refused(self, signers: dict[str, Keyring], trusting: Keyring, duty: str) -> None:
        with pytest.raises(BakeryError, match="signed by no trusted key of the duty verify"):
            trusting.verify(signers[duty].sign(STATEMENT, "verify"), "verify", "here")

    def test_a_key_that_is_none_of_them_does_not_sign(self, trusting: Keyring) -> None:
        for use in (lambda: trusting.sign(STATEMENT, "verify"), lambda: trusting.require_signer("verify")):
            with pytest.raises(UsageError, match="this key may not sign: BAKERY_TRUSTED_KEYS names") as caught:
                use()
            assert caught.value.where.endswith("none/signing.pem")

    def test_the_way_out_works(self, trusting: Keyring, tmp_path: Path) -> None:
        """A second file names the own key."""
        with pytest.raises(UsageError) as caught:
            trusting.sign(STATEMENT, "verify")
        assert "with ':' between files" in caught.value.hint
        documents.save(replace(trusting, env={}).trusted_keys(), tmp_path / "own.json")
        both = replace(trusting, env={TRUSTED_KEYS: f"{tmp_path / 'keys.json'}:{tmp_path / 'own.json'}"})
        assert both.verify(both.sign(STATEMENT, "verify"), "verify", "here") == STATEMENT

    def test_a_rotated_key_has_several(self, signers: dict[str, Keyring], tmp_path: Path) -> None:
        keys = tuple(TrustedKey("verify", public(signers[name])) for name in ("publish", "verify"))
        documents.save(TrustedKeys(keys), tmp_path / "rotated.json")
        trusting = make_keyring(tmp_path, "none", **{TRUSTED_KEYS: str(tmp_path / "rotated.json")})
        for name in ("publish", "verify"):
            assert trusting.verify(signers[name].sign(STATEMENT, "verify"), "verify", "here") == STATEMENT

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "the file of trusted keys does not exist"),
            ("{", "not a valid trusted keys document"),
            ('{"keys": [{"duty": "verify", "public": "short"}]}', "'short' is not a public key"),
            ('{"keys": [{"duty": "all", "public": "short"}]}', "not a valid trusted keys document"),
        ],
    )
    def test_a_file_that_is_wrong(self, own: Keyring, tmp_path: Path, text: str | None, message: str) -> None:
        signed = own.sign(STATEMENT, "verify")
        path = tmp_path / "keys.json"
        if text is not None:
            path.write_text(text)
        with pytest.raises(BakeryError, match=message) as caught:
            make_keyring(tmp_path, "own", **{TRUSTED_KEYS: str(path)}).verify(signed, "verify", "here")
        assert caught.value.hint


class TestKeyFile:
    def test_signs_and_is_trusted(self, tmp_path: Path) -> None:
        (tmp_path / "key.pem").write_bytes(pem(Ed25519PrivateKey.generate()))
        named = make_keyring(tmp_path, "none", **{SIGNING_KEY: str(tmp_path / "key.pem")})
        assert named.verify(named.sign(STATEMENT, "verify"), "verify", "here") == STATEMENT
        assert not named.folder.exists()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "the signing key cannot be read: No such file or directory"),
            (b"no key", "it is not a private key in PEM without a password"),
            (pem(ec.generate_private_key(ec.SECP256R1())), "the signing key is not of the type ed25519"),
        ],
    )
    def test_that_is_wrong(self, tmp_path: Path, content: bytes | None, message: str) -> None:
        if content is not None:
            (tmp_path / "key.pem").write_bytes(content)
        named = make_keyring(tmp_path, "none", **{SIGNING_KEY: str(tmp_path / "key.pem")})
        with pytest.raises(BakeryError, match=message):
            named.sign(STATEMENT, "verify")


class TestDocuments:
    @pytest.fixture
    def path(self, project: Project, own: Keyring, artifact: Artifact) -> Path:
        """The signed document of a bake."""
        path = project.artifact_folder(artifact) / "artifact.json"
        save_signed(artifact, artifact, path, own, "bake-private")
        return path

    def test_a_document_stays_readable_beside_its_envelope(self, path: Path, artifact: Artifact, own: Keyring) -> None:
        assert documents.load(Artifact, path) == artifact
        assert sorted(file.name for file in path.parent.glob("*.json")) == ["artifact.dsse.json", "artifact.json"]
        verify_document(artifact, artifact, path, own, "bake-private")

    def test_a_missing_envelope(self, path: Path, artifact: Artifact, own: Keyring) -> None:
        path.with_suffix(".dsse.json").unlink()
        with pytest.raises(NotFoundError, match=r"artifact\.json is not signed"):
            verify_document(artifact, artifact, path, own, "bake-private")

    def test_a_replaced_document(self, path: Path, artifact: Artifact, own: Keyring) -> None:
        other = replace(artifact, commit="deadbeef")
        with pytest.raises(BakeryError, match="is not the document that was signed") as caught:
            verify_document(other, other, path, own, "bake-private")
        assert caught.value.detail == "different: content"

    def test_a_document_of_another_disk(self, path: Path, artifact: Artifact, own: Keyring) -> None:
        other = replace(artifact, disk=replace(artifact.disk, sha256="0" * 64))
        with pytest.raises(BakeryError, match="is not the document that was signed") as caught:
            verify_document(artifact, other, path, own, "bake-private")
        assert caught.value.detail == "different: disk"

    def test_an_envelope_of_another_kind(self, path: Path, artifact: Artifact, verdict: Verdict, own: Keyring) -> None:
        with pytest.raises(BakeryError, match="is not the document that was signed") as caught:
            verify_document(verdict, artifact, path, own, "bake-private")
        assert caught.value.detail == "different: kind, content"


def test_rsa_is_no_public_key_of_ours(tmp_path: Path) -> None:
    der = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    text = base64.b64encode(
        der.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    with pytest.raises(UsageError, match="is not a public key"):
        TrustedKeys((TrustedKey("verify", text),)).of("verify")
