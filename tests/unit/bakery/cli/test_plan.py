"""`bakery plan` on real definitions and a catalog in a folder."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bakery import cli
from bakery.engine.plan import Plan
from bakery.host import process
from bakery.model import documents
from unit.bakery.cli.cli_runner import CliRunner


def rows(out: str) -> list[list[str]]:
    """Image, action, version and reason of each line of the table, without what frames it."""
    return [re.split(r"  +", line) for line in out.splitlines() if line.startswith(("base ", "web "))]


def test_a_table_with_reasons(bakery: CliRunner) -> None:
    answer = bakery("plan")
    assert (answer.code, answer.err) == (0, "")
    assert rows(answer.out) == [
        ["base", "bake", "-> 1.0.0", "never baked"],
        ["web", "wait", "-", "waits for base"],
    ]
    assert answer.out.splitlines()[-3:] == [
        "a run publishes base 1.0.0 at local",
        "",
        "1 of 2 images needs work, 1 waits for the result",
    ]


def test_json_is_the_document(bakery: CliRunner) -> None:
    bakery.line("base")
    answer = bakery("plan", "--json")
    planned = documents.parse(Plan, answer.out.encode(), "stdout")
    assert (answer.code, answer.err) == (0, "")
    assert [(action.image, action.kind) for action in planned.actions] == [("base", "keep"), ("web", "bake")]
    assert planned.actions[1].inputs["var:nginx.nginx_message"] == '"hello"'


def test_a_changed_variable_is_named_with_both_values(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    assert rows(bakery("plan").out) == [
        ["base", "keep", "1.0.0", "inputs unchanged; not refreshed"],
        ["web", "bake", "1.0.0 -> 1.0.1", 'var:nginx.nginx_message: "hello" -> "goodbye"'],
    ]


def test_it_says_what_a_run_publishes_and_which_channel_moves(bakery: CliRunner) -> None:
    bakery.line("base")
    first = "a run publishes web 1.0.0 at local, and moves stable to 1.0.0"
    assert first in bakery("plan").out.splitlines()
    bakery.line()
    assert "a run publishes" not in bakery("plan").out
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    second = "a run publishes web 1.0.1 at local, and moves stable from 1.0.0 to 1.0.1"
    assert second in bakery("plan").out.splitlines()
    assert [record.version for record in bakery.line()] == ["1.0.1"]
    entry = bakery.catalog.channel("web", "x86_64", "stable")
    assert entry and entry.version == "1.0.1", "as the plan said"


def test_a_revoked_version_is_the_reason(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    bakery.line()
    assert bakery("rollback", "web", "stable").code == 0
    assert bakery("revoke", "web", "1.0.1", "--reason", "CVE-2026-1234", "--yes").code == 0
    reason = "paused: 1.0.1 was made from these inputs, and revoked: CVE-2026-1234"
    assert rows(bakery("plan").out)[1] == ["web", "pause", "1.0.0", reason]
    answer = bakery("run", "web")
    assert answer.code == 1
    assert f"error: web is {reason}\n" in answer.err
    assert "'bakery run --rebuild web'" in answer.err
    bakery.baked_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert bakery("run", "web", "--rebuild").code == 0
    assert bakery.states("web") == {"1.0.0": "complete", "1.0.1": "revoked", "1.0.2": "complete"}


def test_all_mistakes_of_what_is_due(bakery: CliRunner) -> None:
    """What is kept has no part in the next run."""
    bakery.edit("web", "name: nginx", "name: ngix")
    bakery.edit("web", "tests: [base]", "tests: [bsae]")
    answer = bakery("plan")
    assert (answer.code, answer.out) == (64, "")
    assert answer.err == (
        "error: packer/images/web.yaml:11: no role named 'ngix'\nhint: did you mean 'nginx'?\n"
        "error: packer/images/web.yaml:14: no test named 'bsae'\nhint: did you mean 'base'?\n"
    )
    assert bakery("plan", "base").code == 0


def test_a_rebuild(bakery: CliRunner) -> None:
    bakery.line()
    assert rows(bakery("plan", "--rebuild", "web").out) == [
        ["base", "keep", "1.0.0", "inputs unchanged; not refreshed"],
        ["web", "bake", "1.0.0 -> 1.0.1", "asked for by --rebuild"],
    ]
    assert rows(bakery("plan", "--rebuild").out) == [
        ["base", "bake", "1.0.0 -> 1.0.1", "asked for by --rebuild"],
        ["web", "wait", "1.0.0", "waits for base"],
    ]


def test_what_was_baked_before_a_time(bakery: CliRunner) -> None:
    """As the jobs of a pipeline plan, hours after the plan that asked for the rebuild."""
    bakery.line()
    (web,) = json.loads(bakery("catalog", "web", "--json").out)
    baked = datetime.fromisoformat(web["baked"])
    assert rows(bakery("plan", "web", "--baked-before", (baked + timedelta(seconds=1)).isoformat()).out)[-1] == [
        "web",
        "bake",
        "1.0.0 -> 1.0.1",
        "asked for by --rebuild",
    ]
    assert bakery("plan", "web", "--baked-before", baked.isoformat(), "--detailed-exitcode").code == 0


@pytest.mark.parametrize(
    ("time", "message", "hint"),
    [
        ("yesterday", "'yesterday' is not a time", "ISO 8601, such as 2026-01-31T12:00:00+00:00"),
        ("2026-01-31", "'2026-01-31' names no time zone", "for UTC, write '2026-01-31T00:00:00+00:00'"),
    ],
)
def test_a_time_that_is_none(bakery: CliRunner, time: str, message: str, hint: str) -> None:
    answer = bakery("plan", "--baked-before", time)
    assert answer.err == f"error: {message}\nhint: {hint}\n"
    followed = hint.split()[-1].strip("'")
    assert bakery("plan", "--baked-before", followed).code == 0


def test_detailed_exit_code(bakery: CliRunner) -> None:
    assert bakery("plan", "--detailed-exitcode").code == 2
    bakery.line()
    assert bakery("plan", "--detailed-exitcode").code == 0
    assert bakery("plan").code == 0


def test_one_image_brings_its_parents_only(bakery: CliRunner) -> None:
    assert [row[0] for row in rows(bakery("plan", "web").out)] == ["base", "web"]
    assert [row[0] for row in rows(bakery("plan", "base").out)] == ["base"]


def test_an_unknown_image(bakery: CliRunner) -> None:
    answer = bakery("plan", "wbe")
    assert (answer.code, answer.out) == (64, "")
    assert answer.err == "error: no image named 'wbe'\nhint: did you mean 'web'?\n"


def test_a_plan_changes_nothing(bakery: CliRunner) -> None:
    bakery("plan")
    made = {
        path.relative_to(bakery.project.workspace) for path in bakery.project.workspace.rglob("*") if path.is_file()
    }
    assert {path.parts[0] for path in made} <= {"cache"}
    assert bakery.did == []


def test_another_catalog_and_workspace(bakery: CliRunner, tmp_path: Path) -> None:
    bakery.line()
    other = str(tmp_path / "other")
    assert bakery("plan", "--catalog", other, "--detailed-exitcode").code == 2
    assert bakery("plan", "--workspace", other, "--detailed-exitcode").code == 2
    bakery.monkeypatch.setenv("BAKERY_CATALOG", other)
    assert bakery("plan", "--detailed-exitcode").code == 2


def test_a_plan_imports_no_library_that_it_does_not_use(bakery: CliRunner) -> None:
    """They would take a third of its time, or more."""
    bakery.line("base")
    code = """if True:
        import sys
        from bakery import cli
        sys.argv = ["bakery", "plan", "base"]
        assert cli.main() == 0
        print({"boto3", "securesystemslib", "azure", "regipy", "debian"} & sys.modules.keys())
    """
    scripts = {"PYTHONPATH": str(Path(cli.__file__).parents[2])}
    answer = process.run([sys.executable, "-c", code], cwd=bakery.project.root, env=scripts)
    assert answer.stdout.splitlines()[-1] == "set()"
