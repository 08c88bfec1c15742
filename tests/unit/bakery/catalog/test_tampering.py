"""Documents of a catalog that somebody else wrote: under another key, with another signature or with none."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, Record, Store
from bakery.host.errors import BakeryError, UsageError
from bakery.model.documents import ImageLocation, Publication, dump, save
from bakery.model.observations import Observation, Upgrade
from bakery.model.version import ImageVersion
from bakery.signing import DUTIES, TRUSTED_KEYS, Duty, Keyring
from bakery.signing.keys import TrustedKey, TrustedKeys
from unit.bakery.signed_documents import seal, unseal

WEB = ("web", "x86_64")
VERSION = ImageVersion(*WEB, "1.0.0")
RECORD = "images/web/x86_64/versions/1.0.0/000001.json"
ENTRY = "images/web/x86_64/channels/stable/000000.json"
FAILURE = "images/web/x86_64/failures/000000.json"
OBSERVATIONS = "observations/000000.json"
Written = dict[str, dict[str, Any]]
PUBLICATION = Publication(*WEB, "1.0.0", "a" * 64, "aws", (ImageLocation("1", "us-east-1", "ami-1"),))


@pytest.fixture
def location(tmp_path: Path) -> str:
    """One kind of store is enough: the comparison is above both."""
    return str(tmp_path / "catalog")


@pytest.fixture
def written(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """A catalog with a document of each kind: their JSON by key."""
    record = catalog.reserve(*WEB, "1.0", "key", {}, "builder", "bake-private")
    complete = catalog.revise(replace(record, state="complete", publications=(PUBLICATION,)), "published")
    entry = catalog.move(complete, "stable", "promoted", None)
    failure = catalog.keep_failure(*WEB, "bake", "key", "no space")
    observation = Observation(*WEB, "1.0.0", "2026-01-31T12:00:00+00:00", (), Upgrade())
    observations = catalog.keep_observations([observation])
    documents = {RECORD: complete, ENTRY: entry, FAILURE: failure, OBSERVATIONS: observations}
    return {key: json.loads(dump(document)) for key, document in documents.items()}


def write(keyring: Keyring, key: str, document: dict[str, Any]) -> bytes:
    """The bytes of a document, signed if its kind has to be."""
    return seal(keyring, document) if key in (RECORD, ENTRY) else json.dumps(document).encode()


READERS: dict[str, Callable[[Catalog], object]] = {
    RECORD: lambda catalog: catalog.record(VERSION),
    ENTRY: lambda catalog: catalog.channel(*WEB, "stable"),
    FAILURE: lambda catalog: catalog.failures_since(*WEB, None),
    OBSERVATIONS: lambda catalog: catalog.newest_observations(),
}


def next_key(key: str) -> str:
    """The key after the newest of a series: whoever may write to the catalog can take it."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/{int(name.removesuffix('.json')) + 1:06d}.json"


@pytest.mark.parametrize("key", READERS)
def test_a_document_of_its_key_is_read(catalog: Catalog, written: Written, key: str) -> None:
    assert READERS[key](catalog)
    assert written


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        (RECORD, {}),
        (RECORD, {"revision": 2, "image": "../../../escaped"}),
        (RECORD, {"revision": 2, "arch": "aarch64"}),
        (RECORD, {"revision": 2, "version": "1.0.1"}),
        (RECORD, {"revision": 3}),
        (ENTRY, {}),
        (ENTRY, {"number": 1, "channel": "testing"}),
        (ENTRY, {"number": 1, "image": "db"}),
        (FAILURE, {}),
        (FAILURE, {"number": 1, "image": "db"}),
        (OBSERVATIONS, {}),
        (OBSERVATIONS, {"number": 7}),
    ],
)
def test_a_document_of_another_key_is_an_error(
    catalog: Catalog, store: Store, keyring: Keyring, written: Written, key: str, changes: dict[str, Any]
) -> None:
    planted = next_key(key)
    store.create(planted, write(keyring, key, written[key] | changes))
    with pytest.raises(BakeryError, match="the document belongs to ") as caught:
        READERS[key](catalog)
    assert caught.value.where == f"{catalog.location}/{planted}"
    assert "restore this file" in caught.value.hint


@pytest.mark.parametrize("field", ["image", "arch", "version"])
def test_a_publication_is_of_the_records_version(
    catalog: Catalog, store: Store, keyring: Keyring, written: Written, field: str
) -> None:
    """Targets name images and links by its fields."""
    document = written[RECORD] | {"revision": 2}
    document["publications"][0][field] = "../../escaped"
    planted = next_key(RECORD)
    store.create(planted, seal(keyring, document))
    with pytest.raises(BakeryError, match="the publication at aws belongs to ") as caught:
        catalog.record(VERSION)
    assert caught.value.where == f"{catalog.location}/{planted}"


def test_no_key_is_made_of_a_field_that_leads_elsewhere(catalog: Catalog) -> None:
    """The record of somebody who calls the library; a record that was read has been compared."""
    record = Record("../../../escaped", "x86_64", "1.0.0", 0, "complete", "", {}, at="", by="")
    for write in (lambda: catalog.revise(record), lambda: catalog.move(record, "stable", "", None)):
        with pytest.raises(BakeryError, match="not a valid path in the catalog"):
            write()


def test_a_channel_that_points_out_of_the_catalog(
    catalog: Catalog, store: Store, keyring: Keyring, written: Written
) -> None:
    store.create(next_key(ENTRY), seal(keyring, written[ENTRY] | {"number": 1, "version": "../../../../../escaped"}))
    entry = catalog.channel(*WEB, "stable")
    assert entry
    with pytest.raises(BakeryError, match="is not in the catalog"):
        catalog.record(entry)


class TestSignatures:
    """A writer of the catalog's store, who has no key that is trusted for what is written."""

    @pytest.mark.parametrize("key", [RECORD, ENTRY])
    def test_a_document_without_one(self, catalog: Catalog, store: Store, written: Written, key: str) -> None:
        store.create(next_key(key), json.dumps(written[key] | {"revision": 2, "number": 1}).encode())
        with pytest.raises(BakeryError, match="it is not a DSSE envelope") as caught:
            READERS[key](catalog)
        assert caught.value.where == f"{catalog.location}/{next_key(key)}"

    @pytest.mark.parametrize(("key", "changes"), [(RECORD, {"revision": 2}), (ENTRY, {"number": 1})])
    def test_a_key_that_nobody_trusts(
        self, catalog: Catalog, store: Store, written: Written, tmp_path: Path, key: str, changes: dict[str, int]
    ) -> None:
        store.create(next_key(key), seal(Keyring(tmp_path / "foreign", {}), written[key] | changes))
        with pytest.raises(BakeryError, match=r"signed by no trusted key of the duty .*publish"):
            READERS[key](catalog)

    def test_a_changed_record_under_a_good_signature(
        self, catalog: Catalog, store: Store, keyring: Keyring, written: Written
    ) -> None:
        good = json.loads(seal(keyring, written[RECORD] | {"revision": 2}))
        payload = base64.b64decode(good["payload"]).replace(b"ami-1", b"ami-2")
        forged = good | {"payload": base64.b64encode(payload).decode()}
        store.create(next_key(RECORD), json.dumps(forged).encode())
        with pytest.raises(BakeryError, match=r"signed by no trusted key of the duty .*publish"):
            catalog.record(VERSION)

    def test_a_statement_about_something_else(
        self, catalog: Catalog, store: Store, keyring: Keyring, written: Written
    ) -> None:
        """A key signs documents of other kinds as well."""
        envelope = seal(keyring, written[RECORD] | {"revision": 2})
        statement = keyring.verify(envelope, "publish", "here")
        other = statement.model_copy(update={"predicate_type": "https://slsa.dev/provenance/v1"})
        store.create(next_key(RECORD), keyring.sign(other, "publish"))
        with pytest.raises(BakeryError, match="the signed statement is not about this document"):
            catalog.record(VERSION)

    def test_a_workspace_that_cannot_read_the_catalog_adds_no_image(
        self, store: Store, written: Written, tmp_path: Path
    ) -> None:
        """Its own key would sign a record that stops all other readers."""
        foreign = Catalog(store, Keyring(tmp_path / "foreign", {}))
        with pytest.raises(BakeryError, match="signed by no trusted key"):
            foreign.reserve("db", "x86_64", "1.0", "key", {}, "builder", "bake-private")
        assert store.list("images") == ["web"]

    def test_what_is_stored_is_an_envelope_of_the_document(self, store: Store, written: Written) -> None:
        assert unseal(store.read(RECORD)) == written[RECORD]
        assert unseal(store.read(ENTRY)) == written[ENTRY]


class TestDuties:
    """Each duty has a key of its own, as in Vault."""

    @pytest.fixture
    def signers(self, tmp_path: Path) -> dict[Duty, Keyring]:
        return {duty: Keyring(tmp_path / duty, {}) for duty in DUTIES}

    @pytest.fixture
    def trusting(self, signers: dict[Duty, Keyring], store: Store, tmp_path: Path) -> Catalog:
        """A reader who trusts each key for its duty."""
        for duty, signer in signers.items():
            signer.require_signer(duty)  # makes the key
        keys = (TrustedKey(duty, signer.trusted_keys().keys[0].public) for duty, signer in signers.items())
        save(TrustedKeys(tuple(keys)), tmp_path / "trusted.json")
        return Catalog(store, Keyring(tmp_path / "reader", {TRUSTED_KEYS: str(tmp_path / "trusted.json")}))

    @pytest.mark.parametrize("duty", ["bake-private", "bake-public"])
    def test_a_bake_reserves(self, signers: dict[Duty, Keyring], trusting: Catalog, store: Store, duty: Duty) -> None:
        reserved = Catalog(store, signers[duty]).reserve(*WEB, "1.0", "key", {}, "builder", duty)
        assert trusting.record(reserved) == reserved

    @pytest.mark.parametrize("duty", ["bake-private", "bake-public", "verify"])
    @pytest.mark.parametrize("key", [RECORD, ENTRY])
    def test_only_publish_completes_and_promotes(
        self,
        signers: dict[Duty, Keyring],
        trusting: Catalog,
        store: Store,
        written: Written,
        key: str,
        duty: Duty,
    ) -> None:
        """Whoever bakes holds a key of the catalog, and may reserve versions with it; no more."""
        document = written[key] | ({"revision": 2} if key == RECORD else {"number": 1})
        store.create(next_key(key), seal(signers[duty], document, duty))
        with pytest.raises(BakeryError, match=r"signed by no trusted key of the duty .*publish"):
            READERS[key](trusting)

    @pytest.mark.parametrize("state", ["complete", "revoked"])
    @pytest.mark.parametrize("more", [1, 2])
    def test_a_bake_does_not_reopen_what_was_published(
        self, signers: dict[Duty, Keyring], trusting: Catalog, store: Store, written: Written, state: str, more: int
    ) -> None:
        """It could then have another disk published under the version, or undo its revocation."""
        reserved, complete = unseal(store.read(RECORD.replace("1.json", "0.json"))), written[RECORD]
        version = {"version": "2.0.0"}
        documents: list[tuple[dict[str, Any], Duty]] = [
            (reserved, "bake-private"),
            (complete | {"state": state}, "publish"),
        ]
        documents += [(reserved, "bake-private")] * more
        for revision, (document, duty) in enumerate(documents):
            document = document | version | {"revision": revision, "publications": []}
            key = f"images/web/x86_64/versions/2.0.0/{revision:06d}.json"
            store.create(key, seal(signers[duty], document, duty))
        with pytest.raises(BakeryError, match=f"web 2.0.0 was {state}, and a bake reserved it again"):
            trusting.record(ImageVersion(*WEB, "2.0.0"))

    def test_no_revision_is_left_out(self, signers: dict[Duty, Keyring], trusting: Catalog, store: Store) -> None:
        """After the highest number that a key can have, no revision could be written."""
        reserving = Catalog(store, signers["bake-private"])
        reserved = reserving.reserve(*WEB, "3.0", "key", {}, "builder", "bake-private")
        last = json.loads(dump(replace(reserved, revision=999_999)))
        store.create(
            "images/web/x86_64/versions/3.0.0/999999.json", seal(signers["bake-private"], last, "bake-private")
        )
        with pytest.raises(BakeryError, match="2 revisions are there, and the newest has the number 999999"):
            trusting.record(reserved)

    def test_publish_completes(
        self, signers: dict[Duty, Keyring], trusting: Catalog, store: Store, written: Written
    ) -> None:
        store.create(next_key(RECORD), seal(signers["publish"], written[RECORD] | {"revision": 2}))
        assert trusting.record(VERSION).revision == 2

    def test_tests_reserve_nothing(self, signers: dict[Duty, Keyring], trusting: Catalog, store: Store) -> None:
        reserved = Catalog(store, signers["verify"]).reserve(*WEB, "1.0", "key", {}, "builder", "verify")
        with pytest.raises(BakeryError, match="no trusted key of the duty"):
            trusting.record(reserved)

    def test_a_key_that_readers_do_not_trust_writes_nothing(
        self, trusting: Catalog, store: Store, tmp_path: Path
    ) -> None:
        """Nothing can be taken back: one entry with a foreign key would stop every reader."""
        with pytest.raises(UsageError, match="this key may not sign"):
            trusting.reserve(*WEB, "1.0", "key", {}, "builder", "bake-private")
        assert store.list("images") == []
