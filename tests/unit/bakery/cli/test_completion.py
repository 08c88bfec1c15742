"""The words that a shell gets from the command line."""

import json
import os
import pty
import select
import shlex
import sys
import time

import pytest

from unit.bakery.cli.cli_runner import CliRunner

PROGRAM = "from bakery.cli import main; raise SystemExit(main())"
SECONDS = 120.0  # for bash and two starts of the program, beside other tests


def complete(bakery: CliRunner, line: str) -> list[str]:
    """The words for the last one of a line, which may be empty."""
    words = line.split(" ")
    bakery.monkeypatch.setenv("_BAKERY_COMPLETE", "complete_bash")
    bakery.monkeypatch.setenv("COMP_WORDS", "\n".join(words))
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
        ("bakery explain ", ["base", "web"]),
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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bakery show web @", ["@stable", "@1.0.0", "@1.0.1"]),
        ("bakery show web @ 1.0", ["@1.0.0", "@1.0.1"]),
        ("bakery compare web @ 1.0.0 web @ s", ["@stable"]),
        ("bakery compare web @ 1.0.0 w", ["web"]),
        ("bakery compare web @ ", ["base", "web"]),
    ],
)
def test_words_that_bash_split(versions: CliRunner, line: str, words: list[str]) -> None:
    assert complete(versions, line) == words


def test_bash_completes_a_version(versions: CliRunner) -> None:
    """With a real bash, on a terminal."""
    typed, line = "compare web@1.0.0 web@s", "compare web@1.0.0 web@stable"
    program = versions.write("bin/bakery", f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c '{PROGRAM}' \"$@\"\n")
    program.chmod(0o755)
    versions.monkeypatch.setenv("PATH", f"{program.parent}:{os.defpath}")
    versions.monkeypatch.setenv("TERM", "dumb")
    assert f"ready\r\n$ bakery {line} " in type_into_bash(f"bakery {typed}\t", f"{line} ")


def type_into_bash(text: str, awaited: str) -> str:
    """The screen of an interactive bash with the completion of the program, after a text was typed."""
    process, terminal = pty.fork()
    if not process:
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])  # noqa: S606 - it is what the test asks
    os.write(terminal, b"PS1='$ '; eval \"$(_BAKERY_COMPLETE=source_bash bakery)\"; echo rea''dy\n")
    screen = read_terminal(terminal, "", "ready\r\n$ ")
    os.write(terminal, text.encode())
    screen = read_terminal(terminal, screen, awaited)
    os.close(terminal)  # ends bash
    os.waitpid(process, 0)
    return apply_backspaces(screen)


def read_terminal(terminal: int, screen: str, awaited: str) -> str:
    """The screen with what appears until a text does."""
    end = time.monotonic() + SECONDS
    while awaited not in apply_backspaces(screen):
        assert time.monotonic() < end, screen
        if select.select([terminal], [], [], 0.1)[0]:
            screen += os.read(terminal, 4096).decode()
    return screen


def apply_backspaces(screen: str) -> str:
    shown: list[str] = []
    cursor = 0
    for letter in screen:
        if letter == "\b":
            cursor -= 1
        else:
            shown[cursor : cursor + 1] = letter
            cursor += 1
    return "".join(shown)


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
