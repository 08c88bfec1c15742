"""`bakery ci` on the plan that `bakery plan --json` prints."""

from pathlib import Path

from ruamel.yaml import YAML

from unit.bakery.cli.cli_runner import CliRunner

IMAGE = f"registry.example.com/images/runner@sha256:{'0' * 64}"
JOBS = ("--runner-image", IMAGE, "--vault-audience", "https://vault.example.com")


def planned(bakery: CliRunner) -> Path:
    return bakery.write("plan.json", bakery("plan", "--json").out)


def test_a_plan_becomes_a_pipeline(bakery: CliRunner) -> None:
    answer = bakery("ci", str(planned(bakery)), *JOBS)
    assert (answer.code, answer.err) == (0, "")
    found = YAML(typ="safe").load(answer.out)
    assert found["default"]["image"] == IMAGE
    assert [name for name in found if name.startswith("publish")] == ["publish base", "publish web"]
    assert answer.out == bakery("ci", "plan.json", *JOBS).out


def test_nothing_is_due_after_the_line_ran(bakery: CliRunner) -> None:
    bakery.line()
    assert "nothing due:" in bakery("ci", str(planned(bakery)), *JOBS).out


def test_bakes_that_fail_if_their_content_differs(bakery: CliRunner) -> None:
    plan = str(planned(bakery))
    option = "bakery bake base --builder qemu --fail-on difference"
    assert option in bakery("ci", plan, *JOBS, "--fail-on", "difference").out
    assert option not in bakery("ci", plan, *JOBS).out


def test_a_target_that_does_not_exist(bakery: CliRunner) -> None:
    answer = bakery("ci", str(planned(bakery)), *JOBS, "--target", "moon")
    assert (answer.code, answer.out) == (64, "")
    assert "moon" in answer.err


def test_no_plan(bakery: CliRunner) -> None:
    answer = bakery("ci", "none.json", *JOBS)
    assert (answer.code, answer.out) == (1, "")
    assert "none.json: no plan document" in answer.err


def test_a_plan_of_other_definitions(bakery: CliRunner) -> None:
    plan = planned(bakery)
    plan.write_text(plan.read_text().replace('"image": "web"', '"image": "wbe"'))
    answer = bakery("ci", str(plan), *JOBS)
    assert (answer.code, answer.out) == (64, "")
    assert "no image named 'wbe'" in answer.err


def test_another_channel_is_published_to(bakery: CliRunner) -> None:
    bakery("run", "base")
    for verb in ("bake", "verify"):
        assert bakery(verb, "web").code == 0
    assert bakery("publish", "web", "--channel", "candidate").code == 0
    assert bakery.catalog.channels("web", "x86_64") == ["candidate"]


def test_the_image_that_the_pipeline_built_is_taken_and_no_other(bakery: CliRunner) -> None:
    plan = str(planned(bakery))
    built = IMAGE.replace("0" * 64, "1" * 64)
    bakery.write("runner.image", f"{built}\n")
    assert YAML(typ="safe").load(bakery("ci", plan, *JOBS, "--built", "runner.image").out)["default"]["image"] == built
    assert bakery("ci", plan, *JOBS, "--built", "none.image").out == bakery("ci", plan, *JOBS).out
    bakery.write("runner.image", built.replace("images", "evil"))
    refused = bakery("ci", plan, *JOBS, "--built", "runner.image")
    assert (refused.code, refused.out) == (64, "")
    assert "not of the repository registry.example.com/images/runner" in refused.err


def test_a_tag_is_refused(bakery: CliRunner) -> None:
    tagged = ("--runner-image", "registry.example.com/images/runner:latest", *JOBS[2:])
    refused = bakery("ci", str(planned(bakery)), *tagged)
    assert (refused.code, refused.out) == (64, "")
    assert "not named by its digest" in refused.err


def test_the_environment_of_the_settings_is_applied(bakery: CliRunner) -> None:
    plan = str(planned(bakery))
    assert "apply images:" in bakery("ci", plan, *JOBS, "--environment", "prod").out
    assert "apply images:" not in bakery("ci", plan, *JOBS).out
