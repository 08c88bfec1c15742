"""Names are nouns and verbs of the field: few are participles or pronouns, most functions have two words or more.

Both limits are in percent of one tree. Public names of one word, such as a verb of the command line, have their room.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
TREES = ("scripts/bakery", "cdktf/bakery_stacks")
PARTICIPLES = (
    "asked begun brought done found given gone heard held kept known left made meant moved opened said seen stamped"
    " taken told wanted"
)
PRONOUNS = (
    "anybody anything everything here it mine none nothing one ones ours other others same somebody something such that"
    " them theirs there these this those us we what which who whole yours"
)
# A variable `done` is the usual name of the work that is done.
VAGUE = frozenset(f"{PARTICIPLES} {PRONOUNS}".split()) - {"done"}
VAGUE_LIMIT = 1.0
ONE_WORD_LIMIT = 40.0
WORST = 5


@dataclass
class Names:
    """The assigned names and the functions of one tree, each with the modules where it is not as it should be."""

    assigned: int = 0
    functions: int = 0
    vague: Counter[str] = field(default_factory=Counter)
    one_word: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, modules: Iterable[Path], root: Path) -> Self:
        names = cls()
        for module in modules:
            place = module.relative_to(root).as_posix()
            tree = ast.parse(module.read_text())
            for name in assigned_names(tree):
                names.assigned += 1
                names.vague[place] += name.strip("_").lower() in VAGUE
            for name in function_names(tree):
                names.functions += 1
                names.one_word[place] += "_" not in name.strip("_")
        return names

    @property
    def vague_percent(self) -> float:
        return 100 * self.vague.total() / (self.assigned or 1)

    @property
    def one_word_percent(self) -> float:
        return 100 * self.one_word.total() / (self.functions or 1)


def assigned_names(tree: ast.AST) -> Iterator[str]:
    """Names that a statement, a loop, a comprehension or a `with` assigns; neither parameters nor attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def function_names(tree: ast.AST) -> Iterator[str]:
    """Functions and methods, without those of Python's protocols."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
            yield node.name


def worst(counts: Counter[str]) -> str:
    return ", ".join(f"{place}: {count}" for place, count in counts.most_common(WORST) if count)


@pytest.mark.parametrize("tree", TREES)
def test_names_are_nouns_and_verbs(tree: str) -> None:
    names = Names.read(sorted((ROOT / tree).rglob("*.py")), ROOT)
    print(f"{tree}: {names.vague_percent:.1f} % of {names.assigned} assigned names are participles or pronouns")  # noqa: T201
    print(f"{tree}: {names.one_word_percent:.1f} % of {names.functions} functions are one word")  # noqa: T201
    assert names.assigned, "a tree without names needs no check"
    assert names.vague_percent <= VAGUE_LIMIT, worst(names.vague)
    assert names.one_word_percent <= ONE_WORD_LIMIT, worst(names.one_word)


def test_a_bad_module_is_seen(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("def read_file():\n    content = 1\n    content.found = 2\n    return content\n")
    (tmp_path / "bad.py").write_text(
        "FOUND = 1\n\n\n"
        "class Reader:\n    kept: int = 1\n\n    def __init__(self): ...\n\n    def _take(self): ...\n\n\n"
        "def take(given):\n"
        "    for this, that in [wanted for wanted in given]:\n        with this as (told, names): ...\n"
        "    if (seen := that):\n        made = done = 1\n"
    )
    names = Names.read(sorted(tmp_path.glob("*.py")), tmp_path)
    assert (names.assigned, names.functions) == (11, 3)
    assert names.vague == {"bad.py": 8, "good.py": 0}
    assert names.one_word == {"bad.py": 2, "good.py": 0}
    assert names.vague_percent == pytest.approx(800 / 11)
    assert names.one_word_percent == pytest.approx(200 / 3)
    assert worst(names.vague) == "bad.py: 8"
