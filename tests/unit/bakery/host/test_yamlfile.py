"""YAML files: aliases that stand for too much end at once, wherever the file is read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.bake import bake_files
from bakery.host import yamlfile
from bakery.host.errors import UsageError

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


@pytest.mark.parametrize("text", ["[" * 5000, "- " * 5000, "\n".join(["a: {"] * 5000)])
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
