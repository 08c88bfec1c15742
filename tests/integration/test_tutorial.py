"""The tutorial as a reader follows it: its files are written, its commands run in order, their output is compared."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.clones import run_lines

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-image.md"
# ```console has commands and their output; ```yaml PATH is the content of a file.
FENCE = re.compile(r"^```(console|yaml) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_LINES, ANY_TEXT = "[...]\n", "..."
SECONDS = 900.0  # of one command; a run of the tutorial takes a fifth of that without acceleration


@dataclass(frozen=True)
class File:
    """A file that the page has its reader write."""

    path: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of the page, and the output that it shows."""

    line: str
    output: str


def steps(page: str) -> Iterator[File | Command]:
    """The files and commands of a page in its order."""
    for kind, path, text in FENCE.findall(page):
        if kind == "yaml":
            yield File(path, text)
        else:
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                line, _, output = part.partition("\n")
                yield Command(line, output)


def shows(expected: str, output: str) -> bool:
    """Whether an output is the expected one: `[...]` stands for any lines, `...` for any text within a line."""
    pattern = re.escape(squeezed(expected))
    pattern = pattern.replace(re.escape(ANY_LINES), r"(?:.*\n)*?").replace(re.escape(ANY_TEXT), ".*")
    return re.fullmatch(pattern, squeezed(output)) is not None


def squeezed(text: str) -> str:
    """Columns are as wide as their content, which differs from run to run."""
    return re.sub(r" +", " ", text).replace(" \n", "\n")


@pytest.mark.soak  # 195 s of a processor; test_patching.py has the same verbs and a boot
@pytest.mark.root
@pytest.mark.guest
@pytest.mark.integration
def test_the_tutorial_works_as_it_says(clone: Path) -> None:
    for step in steps(PAGE.read_text()):
        if isinstance(step, File):
            (clone / step.path).write_text(step.text)
            continue
        run = run_lines(clone, step.line, SECONDS)
        assert run.returncode == 0, f"$ {step.line}\n{run.stdout}"
        assert shows(step.output, run.stdout), f"$ {step.line}\n{run.stdout}\nThe page shows:\n{step.output}"


def test_the_steps_of_a_page() -> None:
    page = "```yaml a/b.yaml\nname: b\n```\n\n```console\n$ one\n1\n$ two three\n```\n\n```\n$ four\n```\n"
    assert list(steps(page)) == [File("a/b.yaml", "name: b\n"), Command("one", "1\n"), Command("two three", "")]
    commands = [step for step in steps(PAGE.read_text()) if isinstance(step, Command)]
    assert len(commands) > 5


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("baked in ... s\n", "baked in 12.3 s\n", True),
        ("baked in ... s\n", "baked in 12.3 s\nagain\n", False),
        ("[...]\nend\n", "one\ntwo\nend\n", True),
        ("[...]\nend\n", "one\ntwo\n", False),
        ("NAME  AGE\nweb   ...\n", "NAME     AGE\nweb      2 days\n", True),
        ("", "something\n", False),
    ],
)
def test_outputs_are_compared(expected: str, output: str, same: bool) -> None:
    assert shows(expected, output) is same
