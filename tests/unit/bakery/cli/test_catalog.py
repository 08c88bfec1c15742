"""What exists, and where channels point."""

import json

import pytest

from bakery.catalog import ListedVersion
from bakery.model import documents
from unit.bakery.cli.cli_runner import CliRunner


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.startswith(("base ", "web "))]


def test_an_empty_one(bakery: CliRunner) -> None:
    (bakery.project.workspace / "catalog").mkdir(parents=True)
    answer = bakery("catalog")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "the catalog is empty: 'bakery run' makes a first version of every image\n"
    assert json.loads(bakery("catalog", "--json").out) == []


@pytest.mark.parametrize(
    "verb", [("catalog", "web"), ("show", "web"), ("history", "web"), ("channel", "list", "web")], ids=" ".join
)
def test_a_name_that_it_does_not_have(bakery: CliRunner, verb: tuple[str, ...]) -> None:
    (bakery.project.workspace / "catalog").mkdir(parents=True)
    hint = bakery(*verb).err.splitlines()[-1]
    assert hint == "hint: the catalog is empty: 'bakery run web' makes a first version"
    bakery.line()
    assert bakery(*verb[:-1], "wbe").err.splitlines()[-1] == "hint: did you mean 'web'?"
    assert bakery(*verb[:-1], "shop").err.splitlines()[-1] == "hint: images: base, web"


READING = ("catalog", "show web", "history web", "compare web", "attest web", "status", "revoke web 1.0.0 --reason CVE")
MOVING = ("promote web 1.0.0 stable", "rollback web stable")


@pytest.mark.parametrize("line", [*READING, *MOVING])
def test_a_catalog_that_is_not_there(bakery: CliRunner, line: str) -> None:
    """A wrong answer would look right: that nothing has any version."""
    bakery.monkeypatch.setenv("BAKERY_CATALOG", "nowhere")
    answer = bakery(*line.split())
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "error: nowhere: there is no catalog\n"
        "hint: name the right one with --catalog or BAKERY_CATALOG; 'bakery run' makes a new one\n"
    )


def test_a_plan_needs_no_catalog(bakery: CliRunner) -> None:
    answer = bakery("plan", "--catalog", "nowhere")
    assert (answer.code, answer.catalog) == (0, "nowhere")


@pytest.mark.parametrize("line", [*READING[:4], "status", "plan", "run", "bake", "verify", "add web jq"])
def test_a_verb_names_its_catalog(bakery: CliRunner, line: str) -> None:
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    assert bakery(*line.split()).catalog == str(bakery.project.workspace / "catalog")


@pytest.mark.parametrize(
    "line",
    [
        *("catalog --json", "show web --json", "history web --json", "status --json", "plan --json"),
        *("run -q", "run --json", "bake -q", "rollback web stable -q"),
    ],
)
def test_documents_and_quiet_verbs_name_none(bakery: CliRunner, line: str) -> None:
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    answer = bakery(*line.split())
    assert (answer.code, answer.catalog) == (0, "")


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
    found = documents.parse(list[ListedVersion], bakery("catalog", "--json").out.encode(), "stdout")
    assert found == [ListedVersion.of(made[0], []), ListedVersion.of(made[1], ["stable"])]
    (web,) = documents.parse(list[ListedVersion], bakery("catalog", "web", "--json").out.encode(), "stdout")
    assert (web.image, web.checks, web.base and web.base.name) == ("web", 2, "base")
    assert (bakery.project.store / web.publications[0].locations[0].id).is_file()


def test_channels_move_and_come_back(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    assert (
        bakery("promote", "web", "1.0.0", "old", "--new", "--reason", "keep it").out
        == "web old -> 1.0.0 (1 pointer, held)\n"
    )
    assert bakery("rollback", "web", "stable").out == "web stable -> 1.0.0 (1 pointer, held)\n"
    assert [row[3] for row in rows(bakery("catalog", "web").out)] == ["old,stable", "-"]
    history = bakery.catalog.history("web", "x86_64", "stable")
    assert [(entry.version, entry.reason) for entry in history] == [
        ("1.0.0", "published"),
        ("1.0.1", "published"),
        ("1.0.0", "rollback from 1.0.1"),
    ]


def test_the_history_of_a_channel_outlives_it(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    bakery("rollback", "web", "stable")
    assert bakery("channel", "delete", "web", "stable", "--yes").out == "web stable is deleted\n"
    for line in ("history web stable", "history web"):
        out = bakery(*line.split()).out
        assert "stable -> 1.0.0, held" in out
        assert "stable -> deleted" in out


def test_deleting_finishes_the_move_that_made_the_channel(bakery: CliRunner) -> None:
    bakery.line()
    bakery("promote", "web", "1.0.0", "canary", "--new")
    [entry] = (bakery.project.workspace / "catalog/images/web/x86_64/channels/canary").glob("*.json")
    entry.unlink()  # the run was killed after the pointer had changed, and wrote neither the entry
    (entry.parent / "moves/000001.json").unlink()  # nor the end of the move
    link = bakery.project.store / "web-canary-x86_64.qcow2"
    assert link.is_symlink()
    assert bakery("channel", "delete", "web", "canary", "--yes").code == 0
    assert not link.is_symlink()


def test_a_version_that_is_not_there(bakery: CliRunner) -> None:
    bakery.line()
    answer = bakery("promote", "web", "1.0.7", "stable")
    assert answer.code == 64
    assert "error: web 1.0.7 (x86_64) is not in the catalog\nhint: newest versions: 1.0.0\n" in answer.err
