"""Layers are kept whole, found by key, and removed when they are damaged or the least recently used."""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.host import files
from bakery.host.errors import DiskError
from bakery.host.events import Event
from bakery.layers import store as store_module
from bakery.layers.store import ArchiveList, Layer, LayerStore
from bakery.model import documents

LAYER = Layer(
    key="a" * 32,
    image="web",
    last="nginx",
    upgraded=True,
    archives=(ArchiveList("http://archive.example/dists/stable/InRelease", "b" * 64),),
    seconds=12.5,
    size=5,
    sha256="",
    created="2026-11-30T12:00:00+00:00",
)


def refusing(error: Exception) -> Callable[..., Any]:
    """A function that raises an error."""

    def refuse(*_: object) -> None:
        raise error

    return refuse


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def store(tmp_path: Path, events: list[Event]) -> LayerStore:
    return LayerStore(tmp_path / "layers", events.append)


def keep(store: LayerStore, folder: Path, letter: str = "a", content: bytes = b"bytes", used: float = 0) -> Layer:
    draft = folder / "draft.qcow2"
    draft.write_bytes(content)
    layer = replace(LAYER, key=letter * 32, sha256=files.sha256(draft))
    store.keep(layer, draft, b"envelope")
    if used:
        os.utime(folder / "layers" / layer.key, (used, used))
    return layer


def test_a_kept_layer_is_found_and_taken(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path)
    assert store.find(layer.key) == layer
    assert store.take(layer, tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == b"bytes"
    assert not (tmp_path / "draft.qcow2").exists()


def test_others_cannot_change_a_disk_that_was_taken_from_a_shared_folder(tmp_path: Path, events: list[Event]) -> None:
    store = LayerStore(tmp_path / "layers", events.append, shared=True)
    layer = keep(store, tmp_path)
    assert store.take(layer, tmp_path / "disk")
    disk = tmp_path / "layers" / layer.key / "disk.qcow2"
    disk.chmod(0o644)
    disk.write_bytes(b"other")
    assert (tmp_path / "disk").read_bytes() == b"bytes"


def test_a_disk_that_was_taken_survives_its_layer(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path)
    store.take(layer, tmp_path / "disk")
    store.remove(layer.key)
    assert (tmp_path / "disk").read_bytes() == b"bytes"
    assert store.find(layer.key) is None
    store.remove(layer.key)  # again: no error


@pytest.mark.parametrize("damage", [b"bytez", b"byte", b""])
def test_a_damaged_layer_is_named_and_removed(
    store: LayerStore, tmp_path: Path, events: list[Event], damage: bytes
) -> None:
    layer = keep(store, tmp_path)
    disk = tmp_path / "layers" / layer.key / "disk.qcow2"
    disk.chmod(0o644)
    disk.write_bytes(damage)
    assert not store.verify(layer)
    assert not store.take(layer, tmp_path / "disk")
    assert not (tmp_path / "disk").exists()
    assert store.find(layer.key) is None
    assert [event.text for event in events] == [
        f"the layer {layer.key} is damaged, and was removed: its disk has another digest than when it was kept"
    ]


@pytest.mark.parametrize(("number", "text"), [(errno.EIO, "Input/output error"), (errno.ESTALE, "Stale file handle")])
def test_a_layer_that_cannot_be_read_is_named_and_stays(
    store: LayerStore,
    tmp_path: Path,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    text: str,
) -> None:
    layer = keep(store, tmp_path)
    monkeypatch.setattr(files, "sha256", refusing(OSError(number, text)))
    assert not store.take(layer, tmp_path / "disk")
    assert not (tmp_path / "disk").exists()
    assert store.find(layer.key) == layer
    assert [event.text for event in events] == [f"the layer {layer.key} is not used: {text}"]


def test_a_damaged_layer_that_cannot_be_removed_is_named(
    store: LayerStore, tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user made it, or the file system is read-only."""
    layer = keep(store, tmp_path)
    disk = tmp_path / "layers" / layer.key / "disk.qcow2"
    disk.chmod(0o644)
    disk.write_bytes(b"bytez")
    monkeypatch.setattr(LayerStore, "remove", refusing(DiskError("cannot be written: Read-only file system")))
    assert not store.take(layer, tmp_path / "disk")
    [event] = events
    assert "is damaged, and cannot be removed (cannot be written: Read-only file system): " in event.text


def test_layers_of_another_user_do_not_keep_a_new_one_out(
    store: LayerStore, tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that cannot be removed keep back the others that are too much."""
    foreign = keep(store, tmp_path, "a", used=200)
    remove = LayerStore.remove

    def refuse(of: LayerStore, key: str) -> None:
        if key == foreign.key:
            raise DiskError("cannot be read or written: Permission denied")
        remove(of, key)

    monkeypatch.setattr(LayerStore, "remove", refuse)
    monkeypatch.setattr(store_module, "LIMIT", 5)
    keep(store, tmp_path, "b", used=100)
    newest = keep(store, tmp_path, "c")
    assert {layer.key for layer, _ in store.list_layers()} == {foreign.key, newest.key}
    reason = "cannot be read or written: Permission denied"
    assert [event.text for event in events] == [f"older layers cannot be removed from {store.folder}: {reason}"]
    with pytest.raises(DiskError, match="Permission denied"):
        store.collect(0)
    assert [layer for layer, _ in store.list_layers()] == [foreign]


@pytest.mark.parametrize("code", [errno.ENOTEMPTY, errno.EEXIST])
def test_the_layer_of_another_bake_stays(
    store: LayerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Both kept it at one moment. rename(2) has two answers to that, and NFS gives the second."""
    other, rename = keep(store, tmp_path), Path.rename

    def find_other(source: Path, target: Path) -> Path:
        if source.parent == store.folder:  # the older layer is away, so that the other bake's takes its place
            raise FileNotFoundError
        if target.parent == store.folder:
            raise OSError(code, os.strerror(code))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", find_other)
    keep(store, tmp_path, content=b"other")
    assert store.find(other.key) == other


def test_a_layer_that_another_bake_removes_meanwhile_is_not_listed(
    store: LayerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, other = keep(store, tmp_path, "a"), keep(store, tmp_path, "b")
    find = LayerStore.find

    def find_and_lose(of: LayerStore, key: str) -> Layer | None:
        found = find(of, key)
        if key == layer.key:
            of.remove(key)
        return found

    monkeypatch.setattr(LayerStore, "find", find_and_lose)
    assert [found for found, _ in store.list_layers()] == [other]


def test_a_disk_that_refuses_the_name_of_a_layer_is_told(
    store: LayerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not count as a layer that another bake kept at this moment."""
    rename = Path.rename

    def refuse(source: Path, target: Path) -> Path:
        if target.parent == store.folder:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(DiskError, match="No space left on device"):
        keep(store, tmp_path)


def test_a_layer_whose_disk_is_gone_is_not_taken(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path)
    (tmp_path / "layers" / layer.key / "disk.qcow2").unlink()
    assert not store.take(layer, tmp_path / "disk")
    assert not store.verify(layer)


def test_a_document_of_a_newer_bakery_is_no_layer_and_is_replaced(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path)
    document = tmp_path / "layers" / layer.key / "layer.json"
    document.write_text(document.read_text().replace("bakery/layer/1", "bakery/layer/2"))
    assert store.find(layer.key) is None
    newer = keep(store, tmp_path, content=b"newer")
    assert store.find(layer.key) == newer


def test_a_newer_layer_replaces_the_one_with_its_key(store: LayerStore, tmp_path: Path) -> None:
    older = keep(store, tmp_path)
    newer = keep(store, tmp_path, content=b"newer")
    assert store.find(older.key) == newer
    assert store.verify(newer)
    assert sorted(path.name for path in (tmp_path / "layers").iterdir()) == [newer.key]


def test_the_envelope_is_kept(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path)
    assert store.envelope(layer) == b"envelope"
    store.remove(layer.key)
    assert store.envelope(layer) == b""


def test_the_layers_that_were_used_last_stay_within_the_limit(store: LayerStore, tmp_path: Path) -> None:
    old, middle, new = (
        keep(store, tmp_path, letter, used=time) for letter, time in (("a", 100), ("b", 200), ("c", 300))
    )
    assert [layer for layer, _ in store.list_layers()] == [new, middle, old]
    assert store.take(old, tmp_path / "disk")  # which is a use
    assert [layer.key for layer in store.collect(2 * old.size)] == [middle.key]
    assert {layer.key for layer, _ in store.list_layers()} == {old.key, new.key}


def test_a_second_bake_waits_for_the_layer_that_the_first_makes(
    store: LayerStore, tmp_path: Path, events: list[Event]
) -> None:
    waiting = threading.Event()

    def hear(event: Event) -> None:
        events.append(event)
        waiting.set()

    other = LayerStore(tmp_path / "layers", hear)
    seen: list[Layer | None] = []

    def second() -> None:
        with other.exclusive(LAYER.key, "app 1.0.0") as waited:
            seen.append(other.find(LAYER.key))
            assert waited

    with store.exclusive(LAYER.key, "web 1.0.0") as waited:
        assert not waited
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(20)
        layer = keep(store, tmp_path)
    thread.join(20)
    assert seen == [layer]
    assert [event.text for event in events] == ["waiting for another bake that makes the same layer"]


def test_a_document_removes_no_folder_but_its_own(store: LayerStore, tmp_path: Path) -> None:
    """Its key is a path, and nobody has verified it yet."""
    layer = keep(store, tmp_path)
    (tmp_path / "artifacts").mkdir()
    documents.save(replace(layer, key="../artifacts"), store.folder / layer.key / "layer.json")
    assert store.collect(0) == []
    assert (tmp_path / "artifacts").exists()


def test_a_folder_in_place_of_the_signature_is_none(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path)
    envelope = store.folder / layer.key / "layer.dsse.json"
    envelope.unlink()
    envelope.mkdir()
    assert store.envelope(layer) == b""


def test_a_layer_without_a_document_gives_its_space_back(store: LayerStore, tmp_path: Path) -> None:
    damaged, whole = keep(store, tmp_path, "a"), keep(store, tmp_path, "b")
    (store.folder / damaged.key / "layer.json").write_text("")
    store.collect(1 << 20)
    assert [path.name for path in store.folder.iterdir()] == [whole.key]


@pytest.mark.parametrize("name", ["photos", ".git", "lost+found", "A" * 32, "a" * 31])
def test_what_is_no_layer_stays(store: LayerStore, tmp_path: Path, name: str) -> None:
    """BAKERY_LAYERS may name a folder that has more than layers."""
    keep(store, tmp_path)
    (store.folder / name).mkdir()
    (store.folder / name / "disk.qcow2").write_text("mine")
    store.collect(0)
    assert [path.name for path in store.folder.iterdir()] == [name]


@pytest.mark.parametrize("fault", ["newer release", "unreadable"])
def test_a_layer_that_another_can_read_stays(
    store: LayerStore, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = keep(store, tmp_path)
    document = store.folder / layer.key / "layer.json"
    if fault == "newer release":
        document.write_text(document.read_text().replace("bakery/layer/1", "bakery/layer/2"))
    else:
        monkeypatch.setattr(Path, "read_bytes", refusing(OSError(errno.EIO, "Input/output error")))
    assert store.collect(0) == []
    assert document.exists()


def test_a_document_of_another_layer_gives_its_space_back(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path, "a")
    documents.save(replace(layer, key="b" * 32), store.folder / layer.key / "layer.json")
    store.collect(1 << 20)
    assert list(store.folder.iterdir()) == []


def test_a_folder_in_place_of_the_disk_is_damage(store: LayerStore, tmp_path: Path) -> None:
    layer = keep(store, tmp_path)
    disk = store.folder / layer.key / "disk.qcow2"
    disk.unlink()
    disk.mkdir()
    assert not store.verify(layer)
