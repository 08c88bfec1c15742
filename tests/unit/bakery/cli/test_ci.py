"""`bakery ci` on the plan that `bakery plan --json` prints."""

from pathlib import Path

from ruamel.yaml import YAML

from unit.bakery.cli.cli_runner import CliRunner


def planned(bakery: CliRunner) -> Path:
    return bakery.write("plan.json", bakery("plan", "--json").out)


def test_a_plan_becomes_a_pipeline(bakery: CliRunner) -> None:
    answer = bakery("ci", str(planned(bakery)), "--runner-image", "runner:1")
    assert (answer.code, answer.err) == (0, "")
    found = YAML(typ="safe").load(answer.out)
    assert found["default"]["image"] == "runner:1"
    assert [name for name in found if name.startswith("publish")] == ["publish base", "publish web"]
    assert answer.out == bakery("ci", "plan.json", "--runner-image", "runner:1").out


def test_nothing_is_due_after_the_line_ran(bakery: CliRunner) -> None:
    bakery.line()
    assert "nothing due:" in bakery("ci", str(planned(bakery)), "--runner-image", "runner:1").out


def test_a_target_that_does_not_exist(bakery: CliRunner) -> None:
    answer = bakery("ci", str(planned(bakery)), "--runner-image", "runner:1", "--target", "moon")
    assert (answer.code, answer.out) == (64, "")
    assert "moon" in answer.err


def test_no_plan(bakery: CliRunner) -> None:
    answer = bakery("ci", "none.json", "--runner-image", "runner:1")
    assert (answer.code, answer.out) == (1, "")
    assert "none.json: no plan document" in answer.err


def test_a_plan_of_other_definitions(bakery: CliRunner) -> None:
    plan = planned(bakery)
    plan.write_text(plan.read_text().replace('"image": "web"', '"image": "wbe"'))
    answer = bakery("ci", str(plan), "--runner-image", "runner:1")
    assert (answer.code, answer.out) == (64, "")
    assert "no image named 'wbe'" in answer.err


def test_another_channel_is_published_to(bakery: CliRunner) -> None:
    bakery("run", "base")
    for verb in ("bake", "verify"):
        assert bakery(verb, "web").code == 0
    assert bakery("publish", "web", "--channel", "candidate").code == 0
    assert bakery.catalog.channels("web", "x86_64") == ["candidate"]
