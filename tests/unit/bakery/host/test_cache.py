import json
import os
from functools import partial
from pathlib import Path

import pytest

from bakery.host import files
from bakery.host.cache import Cache


def answer(path: Path | None, *keys: str) -> list[str]:
    """The keys that a run had to compute."""
    computed: list[str] = []
    cache = Cache(path)

    def compute(key: str) -> str:
        computed.append(key)
        return f"answer to {key}"

    for key in keys:
        assert cache.get(key, partial(compute, key)) == f"answer to {key}"
    cache.save()
    return computed


def test_an_answer_is_computed_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cache.json"
    assert answer(path, "a", "b", "a") == ["a", "b"]
    assert answer(path, "a", "b") == []


def test_the_file_keeps_what_the_last_run_used(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    answer(path, "a", "b")
    answer(path, "b", "c")
    assert json.loads(path.read_bytes()) == {"b": "answer to b", "c": "answer to c"}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"a": 1}', b'{"a": null}'])
def test_a_damaged_file_is_empty(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "cache.json"
    path.write_bytes(damage)
    assert answer(path, "a") == ["a"]
    assert answer(path, "a") == []


def test_a_place_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert answer(tmp_path / "file" / "cache.json", "a") == ["a"]
    assert answer(None, "a") == ["a"]


def read(cache: Path, file: Path, label: str = "text") -> tuple[str, bool]:
    """The content of a file by the cache, and whether it was read for that."""
    reads: list[Path] = []

    def compute() -> str:
        reads.append(file)
        return file.read_text()

    answers = Cache(cache)
    text = answers.get_of_file(file, label, compute)
    answers.save()
    return text, bool(reads)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was not just changed."""
    monkeypatch.setattr(files, "GRAIN", 0)
    path = tmp_path / "file"
    path.write_text("one")
    return path


def test_a_file_that_did_not_change_is_read_once(file: Path, tmp_path: Path) -> None:
    assert read(tmp_path / "cache", file) == ("one", True)
    assert read(tmp_path / "cache", file) == ("one", False)
    assert read(tmp_path / "cache", file, "other") == ("one", True)


def test_a_change_is_seen_whatever_times_the_file_says(file: Path, tmp_path: Path) -> None:
    read(tmp_path / "cache", file)
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read(tmp_path / "cache", file) == ("two", True)


def test_a_file_that_has_just_been_changed_is_read_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next change may come within the grain of the file system's times, and leave all fields as they are."""
    monkeypatch.setattr(files, "GRAIN", 3600 * 10**9)
    assert read(tmp_path / "cache", file) == ("one", True)
    assert read(tmp_path / "cache", file) == ("one", True)
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(files, "GRAIN", 0)
    assert read(tmp_path / "cache", file) == ("one", True), "what was not trusted was not kept"
