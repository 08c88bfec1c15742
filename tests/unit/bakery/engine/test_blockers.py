"""The catalog is read once for all versions that are to be retired."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bakery.catalog import Catalog, ChannelEntry, Record
from bakery.catalog.record import State
from bakery.engine.blockers import Blockers
from bakery.model.inputs import PARENT
from bakery.signing import Keyring
from unit.bakery.catalog.memory_store import MemoryStore


def publish(catalog: Catalog, image: str, number: int, base: str = "debian") -> Record:
    record = catalog.reserve(image, "x86_64", "1.0", f"key {number}", {PARENT: base}, "builder", "bake-private")
    complete = replace(record, state="complete", owner="", expires="", raw_sha256=f"{image} {number}")
    return catalog.revise(complete, "published")


def fill(count: int, folder: Path) -> tuple[Catalog, MemoryStore, list[Record]]:
    """Versions of web, each once in `stable` and with a version of app built on it, as before there was an index."""
    store = MemoryStore()
    catalog = Catalog(store, Keyring(folder, {}))
    records, head = [], None
    for number in range(count):
        record = publish(catalog, "web", number)
        publish(catalog, "app", number, record.raw_sha256)
        head = _promote(catalog, record, head)
        records.append(record)
    store.lose(lambda key: key.startswith("index/"))
    store.requests.clear()
    return catalog, store, records


def _promote(catalog: Catalog, record: Record, head: ChannelEntry | None) -> ChannelEntry:
    return catalog.move(record, "stable", "", head)


def find_all(catalog: Catalog, records: list[Record], after: State) -> list[list[str]]:
    session: Any = SimpleNamespace(catalog=catalog, definitions=SimpleNamespace(images={}))
    blockers = Blockers(session, {}, "web", "x86_64", {})
    return [list(blockers.find(record, after)) for record in records]


def count_requests(count: int, folder: Path) -> int:
    """The requests that it takes to look at so many versions."""
    catalog, store, records = fill(count, folder)
    find_all(catalog, records, "disabled")
    return len(store.requests)


def test_reads_grow_with_the_versions_and_not_with_their_square(tmp_path: Path) -> None:
    few, more, most = (count_requests(count, tmp_path) for count in (5, 10, 15))
    assert most - more == more - few
    # Of each version: its listing and reading as the newest one, its child's, that of web, and its channel entry.
    assert (more - few) / 5 <= 10


def test_each_version_has_its_own_reasons(tmp_path: Path) -> None:
    catalog, _, records = fill(3, tmp_path)
    first, second, third = find_all(catalog, records, "disabled")
    assert first == ["app 1.0.0 is built on it"]
    assert second == ["stable would roll back to it", "app 1.0.1 is built on it"]
    assert third == [
        "it is the newest complete version: only 'bakery revoke' forbids it",
        "stable points at it",
        "app 1.0.2 is built on it",
    ]
    assert find_all(catalog, records, "deprecated")[:2] == [[], ["stable would roll back to it"]]
