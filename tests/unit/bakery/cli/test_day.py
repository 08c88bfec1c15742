"""A day's work of the README, without the lines that need tools, Vault or a cloud."""

import shlex
from pathlib import Path

from integration.readme import day_of_work
from unit.bakery.cli.cli_runner import CliRunner

ROOT = Path(__file__).parents[4]
WITH_TOOLS = ("demo", "doctor", "vault", "refresh", "attest")


def commands() -> list[list[str]]:
    """The verbs of the day with their arguments."""
    lines = [shlex.split(line, comments=True) for line in day_of_work(ROOT).splitlines()]
    return [words[1:] for words in lines if words[0] == "bakery" and words[1] not in WITH_TOOLS]


def test_a_day_of_work_after_the_first_versions(bakery: CliRunner) -> None:
    bakery.line()
    failed = [(words, answer.err) for words in commands() if (answer := bakery(*words)).code]
    assert failed == []
    assert bakery.states("web") == {"1.0.0": "revoked", "1.0.1": "complete"}


def test_the_day_begins_with_the_demo() -> None:
    first, second, *rest = day_of_work(ROOT).splitlines()
    assert first == "source .venv/bin/activate"
    assert second == 'eval "$(bakery demo --env)"'
    assert len(rest) > len(WITH_TOOLS)
