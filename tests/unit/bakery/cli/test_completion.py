"""The words that a shell gets from the command line."""

import json

import pytest

from unit.bakery.cli.cli_runner import CliRunner


def complete(bakery: CliRunner, line: str) -> list[str]:
    """The words for the last one of a line, which may be empty."""
    words = line.split(" ")
    bakery.monkeypatch.setenv("_BAKERY_COMPLETE", "complete_bash")
    bakery.monkeypatch.setenv("COMP_WORDS", line)
    bakery.monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    bakery.capture.readouterr()
    with pytest.raises(SystemExit):
        bakery()
    out, err = bakery.capture.readouterr()
    assert err == "", "it would be in the middle of the line"
    return out.split()


@pytest.fixture
def versions(bakery: CliRunner) -> CliRunner:
    """A project whose image web has two versions and a channel."""
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    return bakery


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bakery pl", ["plan"]),
        ("bakery plan ", ["base", "web"]),
        ("bakery plan w", ["web"]),
        ("bakery update w", ["web"]),
        ("bakery catalog b", ["base"]),
        ("bakery history w", ["web"]),
        ("bakery promote web ", ["1.0.0", "1.0.1"]),
        ("bakery promote web 1.0.1 s", ["stable"]),
        ("bakery rollback web ", ["stable"]),
        ("bakery rollback base ", []),
        ("bakery history web ", ["stable"]),
        ("bakery show w", ["web"]),
        ("bakery show web@", ["web@stable", "web@1.0.0", "web@1.0.1"]),
        ("bakery compare web@1.0.0 web@s", ["web@stable"]),
        ("bakery diff ", []),
    ],
)
def test_words(versions: CliRunner, line: str, words: list[str]) -> None:
    assert complete(versions, line) == words


def test_stacks_of_the_last_synth(bakery: CliRunner) -> None:
    entry = {"workingDirectory": "stacks/network", "dependencies": []}
    bakery.write(".bakery/cdktf.out/manifest.json", json.dumps({"stacks": {"network": entry, "images": entry}}))
    assert complete(bakery, "bakery apply n") == ["network"]


def test_what_cannot_be_read_has_no_words(bakery: CliRunner) -> None:
    bakery.monkeypatch.setenv("BAKERY_CATALOG", "nowhere")
    assert complete(bakery, "bakery show ") == []
    assert complete(bakery, "bakery promote web ") == []
    bakery.monkeypatch.setenv("BAKERY_DEFINITIONS", "nowhere")
    assert complete(bakery, "bakery plan ") == []
