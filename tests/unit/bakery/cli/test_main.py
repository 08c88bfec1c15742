"""Every way in which the command line can end."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from bakery import cli
from bakery.cli import plan
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, PartialError, UsageError
from bakery.host.events import Event
from unit.bakery.cli.cli_runner import CliRunner


def failing(bakery: CliRunner, error: BaseException) -> None:
    """Let `bakery plan` end with an error."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    bakery.monkeypatch.setattr(plan, "open_session", fail)


def test_no_arguments_show_the_help(bakery: CliRunner) -> None:
    answer = bakery()
    assert (answer.code, answer.err) == (0, "")
    assert "Usage: bakery" in answer.out
    assert "doctor" in answer.out


def test_version(bakery: CliRunner) -> None:
    answer = bakery("--version")
    assert (answer.code, answer.err) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?\n", answer.out)
    assert bakery("version") == answer


@pytest.mark.parametrize(
    ("arguments", "message", "verb"),
    [
        (["bak"], "No such command 'bak'. Did you mean 'bake'?", ""),
        (["help", "bak"], "No such command 'bak'. Did you mean 'bake'?", ""),
        (["plan", "--jsn"], "No such option: --jsn", " plan"),
        (["promote", "web"], "Missing argument 'VERSION'.", " promote"),
        (["publish", "--channel"], "Option '--channel' requires an argument.", " publish"),
        (["cache", "gc", "--size"], "Option '--size' requires an argument.", " cache gc"),
        (
            ["vault", "check", "--duty", "x"],
            "Invalid value for '--duty': 'x' is not one of 'validate', ",
            " vault check",
        ),
        (["run", "--jobs", "0"], "Invalid value for '--jobs' / '-j' (env var: 'BAKERY_JOBS'): it must be 1", " run"),
        (["run", "--jobs", "x"], "Invalid value for '--jobs' / '-j' (env var: 'BAKERY_JOBS'): it must be a", " run"),
        (["apply", "--lock-timeout", "x"], "Invalid value for '--lock-timeout': it must be a number", " apply"),
        (["schema", "image"], "Invalid value for 'name': 'image' is not one of 'definition', ", " schema"),
    ],
)
def test_a_wrong_command_line(bakery: CliRunner, arguments: list[str], message: str, verb: str) -> None:
    """In the bakery's words, with a hint at the help of the verb."""
    answer = bakery(*arguments)
    error, hint = answer.err.splitlines()
    assert (answer.code, answer.out) == (64, "")
    assert error.startswith(f"error: {message}")
    assert "Input should" not in error
    assert hint == f"hint: see 'bakery{verb} --help'"


@pytest.mark.parametrize("arguments", [["-h"], ["help"], ["plan", "-h"], ["help", "plan"], ["help", "vault", "check"]])
def test_ways_to_ask_for_help(bakery: CliRunner, arguments: list[str]) -> None:
    answer = bakery(*arguments)
    assert (answer.code, answer.err) == (0, "")
    verb = [word for word in arguments if word not in ("-h", "help")]
    assert answer.out == bakery(*verb, "--help").out
    assert answer.out.startswith(" ".join(["Usage: bakery", *verb, "[OPTIONS]"]))


def test_every_verb_is_under_one_heading(bakery: CliRunner) -> None:
    shown = bakery("--help").out
    verbs = [name for group in cli.GROUPS.values() for name in group]
    assert len(verbs) == len(set(verbs))
    assert sorted(verbs) == sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
    for heading, group in cli.GROUPS.items():
        section = shown.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines()] == list(group)


def test_a_wrong_definition(bakery: CliRunner) -> None:
    bakery.edit("web", "targets: [local]", "targets: [locl]")
    answer = bakery("plan")
    assert answer.code == 64
    assert answer.err.startswith("error: packer/images/web.yaml:15: ")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["plan"], ["bake"], ["verify"], ["publish"], ["run"], ["validate"]),
        *(["add", "web", "jq"], ["remove", "web", "jq"], ["bump", "web"]),
        *(["promote", "web", "1.0.0", "stable"], ["rollback", "web", "stable"], ["catalog"], ["vault", "check"]),
        *(["env"], ["diff"], ["apply"], ["doctor"], ["demo"]),
    ],
    ids=" ".join,
)
def test_outside_of_a_project(bakery: CliRunner, arguments: list[str], tmp_path: Path) -> None:
    bakery.monkeypatch.chdir(tmp_path)
    answer = bakery(*arguments)
    assert (answer.code, answer.out) == (64, "")
    assert answer.err == (
        "error: packer/images: no definitions (*.yaml) found\n"
        "hint: run it in the folder that has packer/images/<name>.yaml, or name their folder with --definitions\n"
    )
    assert not (tmp_path / ".bakery").exists()


def test_a_catalog_can_be_read_from_anywhere(bakery: CliRunner, tmp_path: Path) -> None:
    bakery.line()
    (tmp_path / "keys.json").write_text(bakery("keys").out)
    bakery.monkeypatch.chdir(tmp_path)
    bakery.monkeypatch.setenv("BAKERY_TRUSTED_KEYS", "keys.json")
    answer = bakery("catalog", "--catalog", str(bakery.project.workspace / "catalog"))
    assert (answer.code, answer.err) == (0, "")
    assert answer.catalog == str(bakery.project.workspace / "catalog")
    assert "web" in answer.out


@pytest.mark.parametrize(
    ("error", "code"), [(BakeryError, 1), (PartialError, 4), (UsageError, 64)], ids=lambda value: str(value)
)
def test_an_expected_failure_says_everything(bakery: CliRunner, error: type[BakeryError], code: int) -> None:
    failing(bakery, error("it broke", where="web.yaml:3", detail="one\ntwo", hint="mend it", log=Path("logs/plan.log")))
    answer = bakery("plan")
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.splitlines() == [
        "error: web.yaml:3: it broke",
        "  one",
        "  two",
        "hint: mend it",
        "log: logs/plan.log",
    ]


def test_a_failure_says_no_more_than_it_knows(bakery: CliRunner) -> None:
    failing(bakery, BakeryError("it broke"))
    assert bakery("plan").err == "error: it broke\n"


def test_a_bug_asks_for_a_report(bakery: CliRunner) -> None:
    failing(bakery, ZeroDivisionError("by zero"))
    answer = bakery("plan")
    assert answer.code == 3
    assert "ZeroDivisionError: by zero" in answer.err
    assert answer.err.splitlines()[-1].startswith("error: this is a bug in bakery")


def test_a_disk_that_refuses_is_no_bug(bakery: CliRunner) -> None:
    failing(bakery, PermissionError(errno.EACCES, "Permission denied", "/shared/catalog"))
    answer = bakery("plan")
    assert answer.code == 1
    assert answer.err.splitlines() == [
        "error: /shared/catalog: cannot be read or written: Permission denied",
        "hint: give this user the right to write there, or point --workspace or --catalog at another folder",
    ]


def test_a_closed_output_is_no_bug(bakery: CliRunner) -> None:
    bakery.monkeypatch.setattr(sys, "stdout", None)
    answer = bakery("plan")
    assert (answer.code, answer.err) == (0, "")


def test_a_proxy_is_not_for_this_machine(bakery: CliRunner) -> None:
    bakery.monkeypatch.setenv("no_proxy", "example.net")
    bakery.monkeypatch.setenv("NO_PROXY", "example.net")
    bakery.monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")
    bakery("--version")
    assert os.environ["NO_PROXY"] == "example.net,localhost,127.0.0.1,::1,[::1]"


def test_output_to_a_full_disk_is_no_bug() -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [Path(sys.executable).with_name("bakery"), "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: cannot be read or written: No space left on device\n")


def test_an_interrupt(bakery: CliRunner) -> None:
    failing(bakery, KeyboardInterrupt())
    answer = bakery("plan")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err.strip() == "interrupted: finished steps are kept; run the same command again"


def test_sigterm_is_an_interrupt(bakery: CliRunner) -> None:
    def end(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    bakery.monkeypatch.setattr(plan, "open_session", end)
    answer = bakery("plan")
    assert answer.code == 130
    assert "interrupted" in answer.err


def test_a_failed_verb_names_its_log(bakery: CliRunner) -> None:
    def fail(opened: Session, *_: Any, **_options: Any) -> None:
        opened.report(Event("note", "run", "web", "told before it broke"))
        raise BakeryError("it broke")

    bakery.monkeypatch.setattr("bakery.cli.run.run_images", fail)
    answer = bakery("run")
    log = Path(answer.err.splitlines()[-1].removeprefix("log: "))
    assert log.parent == bakery.project.logs
    assert "told before it broke" in log.read_text()


def test_the_log_of_a_failed_verb_has_the_traceback_and_no_secret(bakery: CliRunner) -> None:
    def read_answer() -> None:
        raise OSError("no answer to s.token-4711")

    def fail(*_: Any, **_options: Any) -> None:
        try:
            read_answer()
        except OSError as error:
            raise BakeryError("Vault cannot be reached") from error

    bakery.monkeypatch.setenv("VAULT_TOKEN", "s.token-4711")
    bakery.monkeypatch.setattr("bakery.cli.run.run_images", fail)
    answer = bakery("run")
    assert "Traceback" not in answer.err
    assert "read_answer" not in answer.err
    log = Path(answer.err.splitlines()[-1].removeprefix("log: ")).read_text()
    assert "in read_answer" in log
    assert "OSError: no answer to <redacted>" in log
    assert log.rstrip().endswith("BakeryError: Vault cannot be reached")
    assert "4711" not in log


def test_the_installed_command() -> None:
    program = [sys.executable, "-c", "import sys; from bakery.cli import main; sys.exit(main())", "bak"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert "hint: " in done.stderr


@pytest.mark.parametrize("argument", ["schema", "--version"], ids=["while it prints", "before it ends"])
def test_a_reader_that_leaves_is_no_bug(argument: str) -> None:
    """`bakery schema | head -1`: nothing on standard error, but no success either: work may have been cut off."""
    program = [sys.executable, "-c", "import sys; from bakery.cli import main; sys.exit(main())", argument]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(program, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
