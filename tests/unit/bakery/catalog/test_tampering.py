"""A document that belongs to another key than the one that it was read from."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, Record, Store
from bakery.host.errors import BakeryError
from bakery.model.documents import ImageLocation, Publication, dump
from bakery.model.observations import Observation, Upgrade
from bakery.model.version import ImageVersion

WEB = ("web", "x86_64")
VERSION = ImageVersion(*WEB, "1.0.0")
RECORD = "images/web/x86_64/versions/1.0.0/000001.json"
ENTRY = "images/web/x86_64/channels/stable/000000.json"
FAILURE = "images/web/x86_64/failures/000000.json"
OBSERVATIONS = "observations/000000.json"
PUBLICATION = Publication(*WEB, "1.0.0", "a" * 64, "aws", (ImageLocation("1", "us-east-1", "ami-1"),))


@pytest.fixture
def location(tmp_path: Path) -> str:
    """One kind of store is enough: the comparison is above both."""
    return str(tmp_path / "catalog")


@pytest.fixture
def written(catalog: Catalog) -> dict[str, bytes]:
    """A catalog with a document of each kind: their bytes by key."""
    record = catalog.reserve(*WEB, "1.0", "key", {}, "builder")
    complete = catalog.revise(replace(record, state="complete", publications=(PUBLICATION,)), "published")
    entry = catalog.move(complete, "stable", "promoted", None)
    failure = catalog.keep_failure(*WEB, "bake", "key", "no space")
    observation = Observation(*WEB, "1.0.0", "2026-01-31T12:00:00+00:00", (), Upgrade())
    observations = catalog.keep_observations([observation])
    documents = {RECORD: complete, ENTRY: entry, FAILURE: failure, OBSERVATIONS: observations}
    return {key: dump(document) for key, document in documents.items()}


def tamper(data: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(data) | changes).encode()


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
def test_a_document_of_its_key_is_read(catalog: Catalog, written: dict[str, bytes], key: str) -> None:
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
    catalog: Catalog, store: Store, written: dict[str, bytes], key: str, changes: dict[str, Any]
) -> None:
    planted = next_key(key)
    store.create(planted, tamper(written[key], **changes))
    with pytest.raises(BakeryError, match="the document belongs to ") as caught:
        READERS[key](catalog)
    assert caught.value.where == f"{catalog.location}/{planted}"
    assert "restore this file" in caught.value.hint


@pytest.mark.parametrize("field", ["image", "arch", "version"])
def test_a_publication_is_of_the_records_version(
    catalog: Catalog, store: Store, written: dict[str, bytes], field: str
) -> None:
    """Targets name images and links by its fields."""
    document = json.loads(written[RECORD])
    document["publications"][0][field] = "../../escaped"
    planted = next_key(RECORD)
    store.create(planted, tamper(json.dumps(document).encode(), revision=2))
    with pytest.raises(BakeryError, match="the publication at aws belongs to ") as caught:
        catalog.record(VERSION)
    assert caught.value.where == f"{catalog.location}/{planted}"


def test_no_key_is_made_of_a_field_that_leads_elsewhere(catalog: Catalog) -> None:
    """The record of somebody who calls the library; a record that was read has been compared."""
    record = Record("../../../escaped", "x86_64", "1.0.0", 0, "complete", "", {}, at="", by="")
    for write in (lambda: catalog.revise(record), lambda: catalog.move(record, "stable", "", None)):
        with pytest.raises(BakeryError, match="not a key of the catalog"):
            write()


def test_a_channel_that_points_out_of_the_catalog(catalog: Catalog, store: Store, written: dict[str, bytes]) -> None:
    store.create(next_key(ENTRY), tamper(written[ENTRY], number=1, version="../../../../../escaped"))
    entry = catalog.channel(*WEB, "stable")
    assert entry
    with pytest.raises(BakeryError, match="is not in the catalog"):
        catalog.record(entry)
