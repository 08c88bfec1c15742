"""What exists, and where channels point."""

import json

from bakery.catalog import Record
from bakery.model import documents
from unit.bakery.cli.cli_runner import CliRunner


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.startswith(("base ", "web "))]


def test_an_empty_one(bakery: CliRunner) -> None:
    answer = bakery("catalog")
    assert (answer.code, answer.err, rows(answer.out)) == (0, "", [])
    assert json.loads(bakery("catalog", "--json").out) == []


def test_versions_with_states_and_channels(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.broken = {"verify web"}
    assert bakery("run").code == 1
    answer = bakery("catalog")
    assert (answer.code, answer.err) == (0, "")
    assert rows(answer.out) == [
        ["base", "1.0.0", "complete", "-", "vm", "2026-01-31T12:00:00+00:00", "local:1"],
        ["web", "1.0.0", "complete", "stable", "vm", "2026-01-31T12:00:00+00:00", "local:1"],
        ["web", "1.0.1", "reserved", "-", "-", "-", "-"],
    ]


def test_json_is_the_documents(bakery: CliRunner) -> None:
    made = bakery.line()
    found = documents.parse(list[Record], bakery("catalog", "--json").out.encode(), "stdout")
    assert found == made
    (web,) = documents.parse(list[Record], bakery("catalog", "web", "--json").out.encode(), "stdout")
    assert (web.image, web.checks, web.base and web.base.name) == ("web", 2, "base")
    assert (bakery.project.store / web.publications[0].locations[0].id).is_file()


def test_channels_move_and_come_back(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    assert bakery("promote", "web", "1.0.0", "old", "--reason", "keep it").out == "web old -> 1.0.0 (1 pointer)\n"
    assert bakery("rollback", "web", "stable").out == "web stable -> 1.0.0 (1 pointer)\n"
    assert [row[3] for row in rows(bakery("catalog", "web").out)] == ["old,stable", "-"]
    history = bakery.catalog.history("web", "x86_64", "stable")
    assert [(entry.version, entry.reason) for entry in history] == [
        ("1.0.0", "published"),
        ("1.0.1", "published"),
        ("1.0.0", "rollback from 1.0.1"),
    ]


def test_a_version_that_is_not_there(bakery: CliRunner) -> None:
    bakery.line()
    answer = bakery("promote", "web", "1.0.7", "stable")
    assert answer.code == 1
    assert "error: web 1.0.7 (x86_64) is not in the catalog\nhint: newest versions: 1.0.0\n" in answer.err
