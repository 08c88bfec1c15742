"""YAML files: aliases that stand for too much end at once, wherever the file is read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.bake import bake_files
from bakery.host import files, yamlfile
from bakery.host.errors import UsageError, render_rest

Line = Callable[[str], str]


def write_bomb(path: Path, levels: int, line: Line) -> Path:
    """Each line names the one before nine times."""
    lines = ["l0: &l0 {x: y}"]
    lines += [f"l{number}: &l{number} {line(f'*l{number - 1}')}" for number in range(1, levels)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


SEQUENCE: dict[str, Line] = {"lists": lambda alias: "[" + ", ".join([alias] * 9) + "]"}
MERGES: dict[str, Line] = {"merged mappings": lambda alias: "{<<: [" + ", ".join([alias] * 9) + "]}"}
VALUES: dict[str, Line] = {
    "mappings": lambda alias: "{" + ", ".join(f"k{number}: {alias}" for number in range(9)) + "}"
}
BOMBS = SEQUENCE | MERGES | VALUES


@pytest.mark.parametrize("line", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("read", [yamlfile.parse, yamlfile.compose_nodes])
def test_a_file_of_aliases_is_refused_at_once(tmp_path: Path, read: Callable[[Path], object], line: Line) -> None:
    """Without a limit, each further line takes nine times as long; twelve would take years."""
    path = write_bomb(tmp_path / "web.yaml", 12, line)
    with pytest.raises(UsageError, match="aliases stand for more than") as caught:
        read(path)
    assert caught.value.where.startswith(f"{path}:")


def test_the_tasks_of_a_role_are_refused_as_well(tmp_path: Path) -> None:
    path = write_bomb(tmp_path / "role" / "tasks" / "main.yml", 12, SEQUENCE["lists"])
    path.write_text(path.read_text() + "include_role: l0\n")
    with pytest.raises(UsageError, match="aliases stand for more than"):
        bake_files.role_dependencies(tmp_path / "role")


STAIRS = "\n".join(f"{' ' * level}a:" for level in range(3000))


@pytest.mark.parametrize("text", ["[" * 5000, "- " * 5000, "\n".join(["a: {"] * 5000), STAIRS])
def test_deep_nesting_is_an_error_of_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match="nested too deeply"):
        yamlfile.parse(path)


def test_aliases_and_merges_that_people_write_still_work(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text("base: &base {a: 1, b: [2]}\none: {<<: *base, b: 3}\ntwo: [*base, *base]\n")
    base = {"a": 1, "b": [2]}
    assert json.loads(yamlfile.parse(path)) == {"base": base, "one": {"a": 1, "b": 3}, "two": [base, base]}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("1.10", "1.1"), ("1.00", "1.0"), ("0644", "644"), ("0o644", "420"), ("0x1F", "31"), ("1_000", "1000")),
        *(("1e3", "1000.0"), ("1.5e3", "1500.0"), ("+1", "1"), (".5", "0.5"), ("5.", "5.0"), ("-0", "0")),
        *(("0.30000000000000001", "0.3"), ("12345678901234567890.5", "1.2345678901234567e+19"), ("0.00001", "1e-05")),
    ],
)
def test_a_number_that_would_come_back_with_other_digits_is_refused(tmp_path: Path, text: str, number: str) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(f"a: 1\nb: [x, {{c: {text}}}]\n")
    with pytest.raises(UsageError) as caught:
        yamlfile.Reader().read(path)
    assert caught.value.message == f"{text} is a number to YAML, and would become {number}"
    assert caught.value.where == f"{path}:2"
    assert caught.value.hint == f'quote it: "{text}"; if it is a number, write {number}'
    assert json.loads(yamlfile.parse(path, exact=False))["a"] == 1, "other programs read their numbers themselves"


def test_all_such_numbers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text("a: 1.10\nb: 0644\n")
    with pytest.raises(UsageError, match=r"1\.10") as caught:
        yamlfile.parse(path)
    assert render_rest(caught.value).startswith(f"{path}:2: 0644 is a number to YAML")


NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))


@given(NUMBERS)
def test_a_number_that_is_taken_comes_back_with_its_digits(number: float) -> None:
    text = json.dumps(number)
    try:
        assert yamlfile.parse(Path("web.yaml"), f"a: {text}\n") == f'{{"a": {text}}}'
    except UsageError:
        assert "e" in text, "YAML and JSON write small and large numbers in different ways"


BRACES = "quote the text, such as one that begins with {{"


@pytest.mark.parametrize(
    ("key", "message", "hint"),
    [
        ("1.10", "a key must be text, not the number 1.10", 'quote it: "1.10"'),
        ("0x10", "a key must be text, not the number 0x10", 'quote it: "0x10"'),
        ("true", "a key must be text, not the boolean true", 'quote it: "true"'),
        ("~", "a key must be text, not the empty value ~", 'quote it: "~"'),
        ("2024-01-01", "2024-01-01 is a timestamp to YAML, which cannot be used here", "quote it"),
        ("? [a, b]\n", "a key must be text, not a list or mapping", BRACES),
        ("b: {{ x }}", "a key must be text, not a list or mapping", BRACES),
    ],
)
def test_a_key_that_is_no_text_is_refused(tmp_path: Path, key: str, message: str, hint: str) -> None:
    """As numbers, 1.10 and 1.1 are one key, and so are 1 and "1" in JSON: one of two values would be lost."""
    path = tmp_path / "web.yaml"
    path.write_text(f'a: 1\n{key if "{" in key else f"{key}: c"}\n"1.10": d\n')
    with pytest.raises(UsageError) as caught:
        yamlfile.parse(path)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.where == f"{path}:2"


def test_a_cache_of_another_reader_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that did not change may be refused by now."""
    monkeypatch.setattr(files, "GRAIN", 0)
    path, saved = tmp_path / "web.yaml", tmp_path / "cache.json"
    path.write_text("version: 1.10\n")
    stat = path.stat()
    stamp = f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
    saved.write_text(json.dumps({stamp: '{"version": 1.1}', f"1 {stamp}": '{"version": 1.1}'}))
    with pytest.raises(UsageError, match=r"1\.10"):
        yamlfile.Reader(saved).read(path)
