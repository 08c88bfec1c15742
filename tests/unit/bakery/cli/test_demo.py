"""What the demo shows in the end."""

import subprocess
from pathlib import Path

import pytest

from bakery.demo import story
from bakery.demo.story import Change, Result, Row
from unit.bakery.cli.cli_runner import CliRunner

ROW = Row("web", "1.0.1", "123456789012", "us-east-1", "ami-1", "/bakery/web/x86_64/1.0.1")


@pytest.fixture(autouse=True)
def vault(bakery: CliRunner) -> Path:
    """A program at the place where the set-up leaves Vault; nothing here starts it."""
    program = bakery.project.tool_bin / "vault"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch()
    return program


def result(**changes: object) -> Result:
    fields: dict[str, object] = {
        "image": "web",
        "version": "1.0.1",
        "baked": True,
        "reason": "var:nginx.nginx_message changed",
        "rows": (ROW,),
        "outputs": {},
        "consumer": {"ami": "ami-1"},
        "seconds": {"run": 12.34},
    }
    return Result(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (result(), "web 1.0.1: baked, because var:nginx.nginx_message changed"),
        (result(baked=False, reason="inputs unchanged"), "web 1.0.1: not baked: inputs unchanged"),
    ],
    ids=["baked", "kept"],
)
def test_the_result(bakery: CliRunner, found: Result, verdict: str) -> None:
    bakery.monkeypatch.setattr(story, "play", lambda *_: found)
    answer = bakery("demo")
    assert answer.code == 0
    assert verdict in answer.out
    assert "DOWNSTREAM  VALUE\nami         ami-1\n" in answer.out
    assert [ROW.image, ROW.version, ROW.account, ROW.region, ROW.ami, ROW.parameter] in [
        line.split() for line in answer.out.splitlines()
    ]


@pytest.mark.parametrize(
    ("arguments", "change"),
    [((), None), (("--change", "role"), Change.ROLE), (("--change", "updates"), Change.UPDATES)],
)
def test_a_change_is_asked_for(
    bakery: CliRunner, vault: Path, arguments: tuple[str, ...], change: Change | None
) -> None:
    asked = []

    def play(root: Path, program: Path, change: Change | None, *_: object) -> Result:
        asked.append((root, program, change))
        return result()

    bakery.monkeypatch.setattr(story, "play", play)
    bakery("demo", *arguments)
    assert asked == [(bakery.project.root, vault, change)]


@pytest.mark.parametrize(
    ("stopped", "said"),
    [(["apt", "aws", "vault"], "apt stopped\naws stopped\nvault stopped\n"), ([], "nothing was running\n")],
)
def test_down(bakery: CliRunner, stopped: list[str], said: str) -> None:
    bakery.monkeypatch.setattr(story, "end", lambda _: stopped)
    assert bakery("demo", "--down").out == said


def test_the_end_says_how_to_continue(bakery: CliRunner) -> None:
    bakery.monkeypatch.setattr(story, "play", lambda *_: result())
    assert bakery("demo").out.splitlines()[-1] == 'eval "$(bakery demo --env)"'


def test_the_exports_change_a_shell(bakery: CliRunner) -> None:
    """A setting of the user's that would win over the demo's is gone, and all others are left."""
    bakery.monkeypatch.setattr(
        story, "user_variables", lambda _: {"BAKERY_CATALOG": "s3://demo/a b", "AWS_REGION": "x"}
    )
    bakery.monkeypatch.setenv("AWS_PROFILE", "mine")
    bakery.monkeypatch.setenv("AWS_REGION", "mine")
    bakery.monkeypatch.setenv("EDITOR", "vi")
    answer = bakery("demo", "--env")
    assert (answer.code, answer.err) == (0, "")
    shell = ["/bin/bash", "-c", f'{answer.out}\necho "$BAKERY_CATALOG|$AWS_REGION|${{AWS_PROFILE-gone}}|$EDITOR"']
    assert subprocess.run(shell, capture_output=True, text=True, check=True).stdout == "s3://demo/a b|x|gone|vi\n"


def test_no_exports_without_a_demo(bakery: CliRunner) -> None:
    answer = bakery("demo", "--env")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: services of the demo do not run: apt, aws, vault\nhint: run 'make demo' first\n"
