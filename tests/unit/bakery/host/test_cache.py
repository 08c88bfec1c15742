import json
from functools import partial
from pathlib import Path

import pytest

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
