"""Text for people: a statement begins with its subject or verb, not with a pronoun that makes it a riddle."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "examples", "modules", "scripts", "cdktf", "tools")
BEGINNING = re.compile(r"\W*(?:who|what|where|of|whoever|whose|else|so|which)\b", re.IGNORECASE)
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
# A list item, a heading, a row of a table and a paragraph each begin a text; other line breaks are white space.
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*] |\d+\. |#+ |\|))")
MARKS = re.compile(r"^[\s#*>-]*(?:\d+\. )?")
SENTENCE = re.compile(r"(?<=[.!?])[\"')*]*\s+(?=[\"'(*`]*[A-Z])")
MESSAGE = re.compile(r"hint|detail|help|message")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a paragraph without its marks."""
    for sentence in SENTENCE.split(" ".join(text.split())):
        if sentence:
            yield sentence


def riddles(texts: Iterator[str]) -> list[str]:
    """The statements that begin with one of the words; a question may."""
    return [
        sentence
        for text in texts
        for sentence in sentences(text)
        if BEGINNING.match(sentence) and not sentence.rstrip("*_)\"'").endswith("?")
    ]


def of_page(page: Path) -> Iterator[str]:
    """The paragraphs, list items, headings and cells of a Markdown page; the head of a table has no sentences."""
    blocks = BLOCK.split(FENCE.sub("", page.read_text()))
    for block, following in zip(blocks, [*blocks[1:], ""], strict=True):
        if not block.lstrip().startswith("|"):
            yield MARKS.sub("", block)
        elif not following.lstrip().startswith("|--"):
            # A cell in lower case is a phrase.
            yield from (cell.strip() for cell in block.strip().strip("|").split("|") if cell.strip()[:1].isupper())


def of_program(module: Path) -> Iterator[str]:
    """The docstrings of a module and its messages: what an exception says, hints, details and help."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (ast.get_docstring(node) or "").split("\n\n")
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name | ast.Attribute) and ast.unparse(node.func).endswith("Error"):
                yield from map(text_of, node.args[:1])
            yield from (text_of(word.value) for word in node.keywords if MESSAGE.fullmatch(word.arg or ""))


def text_of(value: ast.expr) -> str:
    """A literal text, with `X` in place of what is formatted into it; empty if it is none."""
    if isinstance(value, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "X" for part in value.values)  # type: ignore[misc]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


@cache
def files(folder: str) -> tuple[Path, ...]:
    """The pages and modules below a folder, or the one page that it is."""
    path = ROOT / folder
    if path.is_file():
        return (path,)
    return tuple(sorted(file for kind in ("*.md", "*.py") for file in path.rglob(kind)))


def texts(file: Path) -> Iterator[str]:
    if file.suffix == ".py":
        return of_program(file)
    return of_page(file)


@pytest.mark.parametrize("folder", FOLDERS)
def test_statements_begin_with_a_subject_or_a_verb(folder: str) -> None:
    assert files(folder), "a folder without text needs no check"
    wrong = {file.relative_to(ROOT).as_posix(): riddles(texts(file)) for file in files(folder)}
    assert {name: statements for name, statements in wrong.items() if statements} == {}


def test_riddles_of_a_page_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# What is a page?\n\nIt is text. Whoever reads it\nlearns.\n\n- **Where** it is wrong, fix it.\n\n"
        "| what | who |\n|---|---|\n| Of disks | what a phrase says |\n\n"
        "```\nWho is this\n```\n\n1. So it is.\nWhat now?\n"
    )
    assert riddles(of_page(page)) == [
        "Whoever reads it learns.",
        "Where** it is wrong, fix it.",
        "Of disks",
        "So it is.",
    ]


def test_riddles_of_a_program_are_seen(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""What this is."""\n\n\ndef read(path):\n    """Read it. So it goes."""\n'
        '    raise ReadError(f"{path} is gone", hint="whoever removed it has a copy", detail=f"of {path}. Is it?")\n'
    )
    assert riddles(of_program(module)) == [
        "What this is.",
        "So it goes.",
        "whoever removed it has a copy",
        "of X.",
    ]
