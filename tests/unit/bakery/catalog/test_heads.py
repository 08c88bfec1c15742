"""Heads: few requests, and the answers of the records, whatever is lost or forged."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bakery.catalog import Catalog, ChannelEntry, Record, heads, open_store
from bakery.catalog.keys import CHANGES, HEADS, announcement_name
from bakery.catalog.record import Snapshot
from bakery.host.errors import BakeryError, OutageError
from bakery.model.documents import dump, save
from bakery.signing import TRUSTED_KEYS, Keyring
from bakery.signing.keys import TrustedKey, TrustedKeys
from unit.bakery.catalog.memory_store import MemoryStore
from unit.bakery.signed_documents import seal, unseal

IMAGES = [f"image-{number}" for number in range(4)]
ARCH = "x86_64"
Answers = dict[str, tuple[Record | None, ChannelEntry | None]]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def filled(store: MemoryStore, keyring: Keyring) -> Catalog:
    """Four images with two versions and a channel each, and a snapshot."""
    catalog = Catalog(store, keyring)
    for image in IMAGES:
        record = [publish(catalog, image, key) for key in "ab"][-1]
        catalog.move(record, "stable", "", None)
    catalog.renew_heads()
    store.requests.clear()
    return catalog


def publish(catalog: Catalog, image: str, key: str) -> Record:
    reserved = catalog.reserve(image, ARCH, "1.0", key, {"key": key}, "builder", "bake-private")
    return catalog.revise(replace(reserved, state="complete"))


def by_records(catalog: Catalog) -> Answers:
    return {
        image: (catalog.newest(image, ARCH, "1.0"), catalog.channel(image, ARCH, "stable"))
        for image, _ in catalog.images()
    }


def by_heads(catalog: Catalog) -> Answers:
    """The answers of heads, for those images that have some."""
    current = catalog.current_heads()
    names = [name.removesuffix(f"@{ARCH}") for name in current.images]
    return {
        image: (current.newest(image, ARCH, "1.0"), current.last_entry(image, ARCH, "stable"))
        for image in names
        if current.has(image, ARCH, "1.0")
    }


def test_all_images_take_five_requests(store: MemoryStore, filled: Catalog) -> None:
    answers = by_heads(filled)
    assert [request.split("/")[0].split()[0] for request in store.requests] == ["list", "read", "read", "list", "list"]
    assert answers == by_records(filled)
    assert list(answers) == IMAGES


def test_there_are_none_in_an_empty_catalog(store: MemoryStore, keyring: Keyring) -> None:
    catalog = Catalog(store, keyring)
    assert catalog.current_heads().images == {}
    catalog.renew_heads()
    assert catalog.current_heads().images == {}


@pytest.mark.parametrize("write", ["reserve", "complete", "revoke", "move"])
def test_a_write_takes_its_image_out_until_the_next_snapshot(
    filled: Catalog, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, entry = by_records(filled)["image-1"]
    assert newest
    match write:
        case "reserve":
            filled.reserve("image-1", ARCH, "1.0", "c", {}, "builder", "bake-private")
        case "complete":
            publish(filled, "image-1", "c")
        case "revoke":
            filled.revise(replace(newest, state="revoked"), "leaks")
        case "move":
            filled.move(newest, "stable", "again", entry)
    others = {image: answer for image, answer in by_records(filled).items() if image != "image-1"}
    assert by_heads(filled) == others
    monkeypatch.setattr(heads, "FEW_CHANGES", 0)
    filled.renew_heads()
    assert by_heads(filled) == by_records(filled)


def test_few_changes_write_no_snapshot(filled: Catalog, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(filled, "image-1", "c")
    before = store.list(HEADS)
    filled.renew_heads()
    assert store.list(HEADS) == before
    monkeypatch.setattr(heads, "FULL_READ", timedelta(0))
    filled.renew_heads()
    assert len(store.list(HEADS)) == len(before) + 2, "a snapshot and its content"


def test_a_new_image_is_in_the_next_snapshot(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "FEW_CHANGES", 0)
    publish(filled, "new", "a")
    filled.renew_heads()
    assert by_heads(filled) == by_records(filled)
    assert "new" in by_heads(filled)


def test_each_of_the_newest_release_lines_has_a_head(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "FEW_CHANGES", 0)
    for line in ("1.1", "1.10", "2.0"):
        reserved = filled.reserve("image-0", ARCH, line, "key", {}, "builder", "bake-private")
        filled.revise(replace(reserved, state="complete"))
    filled.renew_heads()
    current = filled.current_heads()
    have = {line: current.has("image-0", ARCH, line) for line in ("1.0", "1.1", "1.10", "2.0", "2.1")}
    assert have == {"1.0": False, "1.1": True, "1.10": True, "2.0": True, "2.1": False}
    assert current.newest("image-0", ARCH, "1.10") == filled.newest("image-0", ARCH, "1.10")


LOSSES: dict[str, Callable[[str], bool]] = {
    "all": lambda key: key.startswith("index/"),
    "heads": lambda key: key.startswith(HEADS),
    "the content of a snapshot": lambda key: key.endswith(".json.gz"),
    "announcements": lambda key: key.startswith(CHANGES),
    "a generation": lambda key: key.startswith(f"{CHANGES}/000001"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_index_is_not_used_and_written_again(store: MemoryStore, filled: Catalog, loss: str) -> None:
    """The revocation was announced: without its announcement, the old heads would say that the version is complete."""
    record = filled.newest("image-2", ARCH)
    assert record
    filled.revise(replace(record, state="revoked"), "leaks")
    store.lose(LOSSES[loss])
    assert by_heads(filled) == {}
    filled.renew_heads()
    assert by_heads(filled) == by_records(filled)


def test_a_run_that_may_not_write_reads_the_records(store: MemoryStore, keyring: Keyring) -> None:
    store.refused = HEADS
    catalog = Catalog(store, keyring)
    publish(catalog, "web", "a")
    catalog.renew_heads()
    assert by_heads(catalog) == {}


def test_a_write_without_its_announcement_is_refused(store: MemoryStore, filled: Catalog) -> None:
    store.refused = CHANGES
    with pytest.raises(BakeryError, match="no access"):
        publish(filled, "image-0", "c")
    assert by_heads(filled) == by_records(filled)


def test_an_outage_is_not_a_lost_index(filled: Catalog, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(key: str) -> bytes:
        raise OutageError("the catalog cannot be reached", where=key)

    monkeypatch.setattr(store, "read", fail)
    with pytest.raises(OutageError):
        filled.current_heads()


def test_all_records_are_read_again_each_day(
    store: MemoryStore, filled: Catalog, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A development version without announcements revokes a version, or an announcement is deleted by hand."""
    monkeypatch.setattr(heads, "FEW_CHANGES", 0)
    record = filled.newest("image-0", ARCH)
    assert record
    revoked = json.loads(dump(record)) | {"state": "revoked", "revision": record.revision + 1}
    key = f"images/image-0/{ARCH}/versions/{record.version}/{record.revision + 1:06d}.json"
    store.create(key, seal(keyring, revoked))
    publish(filled, "image-1", "c")
    filled.renew_heads()
    assert by_heads(filled) != by_records(filled), "nobody announced it"
    later = datetime.now(UTC) + timedelta(days=1, minutes=1)
    monkeypatch.setattr(heads, "datetime", type("Later", (datetime,), {"now": classmethod(lambda *_: later)}))
    filled.renew_heads()
    assert by_heads(filled) == by_records(filled)


class TestForgery:
    """A writer of the store without the key of `publish` can make a plan slow, and not wrong."""

    @pytest.mark.parametrize(("signer", "is_used"), [("ours", True), ("a bake's", False), ("nobody's", False)], ids=str)
    def test_a_snapshot_of_somebody_else(self, store: MemoryStore, tmp_path: Path, signer: str, is_used: bool) -> None:
        ours, baker = (Keyring(tmp_path / name, {}) for name in ("ours", "baker"))
        for one in (ours, baker):
            one.make_own()
        public = [one.trusted_keys().keys[0].public for one in (ours, baker)]
        trusted = (TrustedKey("publish", public[0]), TrustedKey("bake-private", public[0]))
        save(TrustedKeys((*trusted, TrustedKey("bake-private", public[1]))), tmp_path / "trusted.json")
        catalog = Catalog(store, Keyring(tmp_path / "ours", {TRUSTED_KEYS: str(tmp_path / "trusted.json")}))
        publish(catalog, "web", "a")
        catalog.renew_heads()
        snapshot = Snapshot(**unseal(store.read(f"{HEADS}/000001.json")))
        catalog.changes.begin_generation(1)
        forger = catalog if signer == "ours" else Catalog(store, baker)
        if signer == "nobody's":
            store.create(f"{HEADS}/000002.json", dump(replace(snapshot, number=2)))
        else:
            forger._create_signed(replace(snapshot, number=2), "bake-private" if forger is not catalog else "publish")
        assert bool(by_heads(catalog)) == is_used

    def test_an_older_snapshot_under_a_newer_number(self, filled: Catalog, store: MemoryStore) -> None:
        record = filled.newest("image-0", ARCH)
        assert record
        filled.revise(replace(record, state="revoked"), "leaks")
        store.create(f"{CHANGES}/000002/begun", b"")
        store.create(f"{HEADS}/000002.json", store.read(f"{HEADS}/000001.json"))
        assert by_heads(filled) == {}

    def test_a_reader_verifies_each_document(self, filled: Catalog, store: MemoryStore, keyring: Keyring) -> None:
        current = filled.current_heads()
        head = current.images[f"image-0@{ARCH}"].newest["1.0"]
        other = replace(head, payload=head.payload.replace("complete", "revoked"))
        with pytest.raises(BakeryError, match="signed by no trusted key"):
            filled.verify_head(Record, other)
        with pytest.raises(BakeryError, match="belongs to"):
            filled.verify_head(Record, replace(head, key=head.key.replace("image-0", "image-1")))

    @pytest.mark.parametrize(
        "name", ["web", "a@b@c@d", "images@..@..@versions@1.0.0@000000.json", "images@x@y@versions@1.0.0@0.json"]
    )
    def test_announcements_by_hand(self, filled: Catalog, store: MemoryStore, name: str) -> None:
        store.create(f"{CHANGES}/000001/{name}", b"")
        store.create(f"{CHANGES}/README/text", b"")
        assert by_heads(filled) == by_records(filled)

    def test_the_last_generation_by_hand(
        self, filled: Catalog, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heads, "FEW_CHANGES", 0)
        store.create(f"{CHANGES}/999999/begun", b"")
        publish(filled, "image-1", "c")
        filled.renew_heads()
        others = {image: answer for image, answer in by_records(filled).items() if image != "image-1"}
        assert by_heads(filled) == others


def test_a_key_that_no_reader_would_understand_is_not_announced() -> None:
    for key in ("observations/000000.json", "images/we@b/x86_64/versions/1.0.0/000000.json", "images/a/b/c"):
        with pytest.raises(BakeryError, match="not a valid path in the catalog"):
            announcement_name(key)


def test_an_image_that_cannot_be_read_is_left_out(
    filled: Catalog, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "FULL_READ", timedelta(0))
    store.create(f"images/image-3/{ARCH}/versions/1.0.1/000002.json", b"damaged")
    filled.renew_heads()
    assert list(by_heads(filled)) == IMAGES[:3]


def test_both_kinds_of_store(location: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "FEW_CHANGES", 0)
    catalog = Catalog(open_store(location), keyring)
    for image in IMAGES:
        catalog.move(publish(catalog, image, "a"), "stable", "", None)
    for change in range(2):
        catalog.renew_heads()
        assert by_heads(catalog) == by_records(catalog)
        publish(catalog, "image-2", f"change {change}")
        assert list(by_heads(catalog)) == [image for image in IMAGES if image != "image-2"]
