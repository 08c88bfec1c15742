"""The layers on the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bakery.cli import app
from bakery.host import files
from bakery.host.errors import BakeryError, DiskError, UsageError
from bakery.host.events import silent
from bakery.layers.store import Layer, LayerStore

runner = CliRunner()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LayerStore:
    """Two layers of a web server."""
    monkeypatch.chdir(tmp_path)
    made = LayerStore(tmp_path / ".bakery" / "cache" / "layers", silent)
    for letter, last in (("a", ""), ("b", "nginx")):
        draft = tmp_path / "draft"
        draft.write_bytes(letter.encode() * (3 << 20))
        layer = Layer(
            letter * 32, "web", last, False, (), 61.4, 3 << 20, files.sha256(draft), "2026-11-30T12:00:00+00:00"
        )
        made.keep(layer, draft, b"")
    return made


def call(*arguments: str) -> Result:
    return runner.invoke(app, ["cache", *arguments])


def test_ls_shows_each_layer_and_the_total(store: LayerStore) -> None:
    lines = call("ls").stdout.splitlines()
    assert lines[0].split() == ["LAYER", "MADE", "BY", "UP", "TO", "SIZE", "SAVES", "LAST", "USED"]
    assert {line.split()[0] for line in lines[1:3]} == {"a" * 12, "b" * 12}
    assert any(line.split()[1:7] == ["web", "nginx", "3", "MiB", "61", "s"] for line in lines)
    assert lines[-1] == "2 layers, 6 MiB of 20.0 GiB"


def test_ls_has_a_document(store: LayerStore) -> None:
    layers = json.loads(call("ls", "--json").stdout)
    assert {entry["layer"]["last"] for entry in layers} == {"", "nginx"}


def test_ls_of_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("ls").stdout == "0 layers, 0 MiB of 20.0 GiB\n"


@pytest.mark.parametrize(("size", "left"), [("3MiB", 1), ("3145727B", 0), ("6 MiB", 2), ("1GB", 2), ("1G", 2)])
def test_gc_keeps_what_fits(store: LayerStore, size: str, left: int) -> None:
    answer = call("gc", "--size", size)
    assert answer.stdout.startswith(f"{2 - left} layer")
    assert len(store.list_layers()) == left


def test_gc_removes_all(store: LayerStore) -> None:
    assert call("gc", "--yes").stdout == "2 layers removed, 6 MiB\n"
    assert store.list_layers() == []


def test_gc_asks_before_it_removes_all(store: LayerStore) -> None:
    """In a shared folder the layers are those of all machines."""
    answer = call("gc")
    assert isinstance(answer.exception, UsageError)
    assert str(answer.exception) == f"nobody is there to answer: remove all layers in {store.folder}?"
    assert len(store.list_layers()) == 2


@pytest.mark.parametrize("size", ["much", "5", "-1", "1e3", "20gib", "", "KB", "9" * 400, "inf"])
def test_gc_refuses_what_is_no_size(store: LayerStore, size: str) -> None:
    answer = call("gc", "--size", size)
    assert isinstance(answer.exception, UsageError)
    assert len(store.list_layers()) == 2


@pytest.mark.parametrize("command", ["ls", "gc", "verify"])
def test_a_folder_that_is_not_mounted(store: LayerStore, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("BAKERY_LAYERS", "shared")
    answer = call(command)
    assert isinstance(answer.exception, UsageError)
    assert str(answer.exception).startswith(f"BAKERY_LAYERS names no folder: {Path.cwd()}/shared")


def test_verify_reads_all(store: LayerStore) -> None:
    assert call("verify").stdout == "2 layers checked\n"


def test_verify_removes_a_damaged_layer_and_fails(store: LayerStore) -> None:
    disk = store.folder / ("a" * 32) / "disk.qcow2"
    disk.chmod(0o644)
    disk.write_bytes(b"b" * (3 << 20))
    answer = call("verify")
    assert answer.exit_code == 1
    assert isinstance(answer.exception, BakeryError)
    assert str(answer.exception) == "1 of 2 layers were damaged"
    assert answer.exception.detail == f"{'a' * 32}: web up to packages, removed"
    assert [layer.key for layer, _ in store.list_layers()] == ["b" * 32]


def test_verify_names_all_damaged_layers_if_one_cannot_be_removed(
    store: LayerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = LayerStore.remove

    def refuse(self: LayerStore, key: str) -> None:
        if key == "a" * 32:
            raise DiskError("permission denied")
        remove(self, key)

    for letter in "ab":
        disk = store.folder / (letter * 32) / "disk.qcow2"
        disk.chmod(0o644)
        disk.write_bytes(b"c")
    monkeypatch.setattr(LayerStore, "remove", refuse)
    answer = call("verify")
    assert isinstance(answer.exception, BakeryError)
    assert sorted(answer.exception.detail.splitlines()) == [
        f"{'a' * 32}: web up to packages, cannot be removed: permission denied",
        f"{'b' * 32}: web up to nginx, removed",
    ]
