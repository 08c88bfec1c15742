"""The checks that a verdict must have: an empty one would say that nothing failed."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from bakery.host.errors import UsageError
from bakery.machine import secret_search
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Check, Part
from bakery.model.project import Project
from bakery.verify import boot
from bakery.verify.exemptions import select_rules
from bakery.verify.verify import find_tests


def expect_checks(project: Project, definition: ImageDefinition, part: Part) -> list[str]:
    """The names of all checks that its tests and, of a disk, its content and boot give a part.

    A test of an image is `module: function`, whatever its parameters.
    """
    tests = [name for path in find_tests(project, definition) for name in _list_tests(path)]
    if not isinstance(part, Artifact):
        return tests
    boots = [] if definition.windows else [boot.BOOTS, boot.SERVICES]
    return [*expect_content(definition), *boots, *tests]


def expect_content(definition: ImageDefinition) -> list[str]:
    """The names of the checks of a disk that need no boot."""
    return [*select_rules(definition), secret_search.NAME]


def find_gaps(expected: Iterable[str], checks: Iterable[Check]) -> list[str]:
    """The reasons why checks do not prove what is expected: each present, none twice, all passed."""
    present = list(checks)
    counts = Counter(check.name for check in present)
    names = {*counts, *map(_function_name, counts)}
    return [
        *(f"missing: {name}" for name in dict.fromkeys(expected) if name not in names),
        *(f"{count} times: {name}" for name, count in counts.items() if count > 1),
        *(f"failed: {check.name}" for check in present if not check.passed),
    ]


def _list_tests(path: Path) -> Iterator[str]:
    """The tests of a file by pytest's rules for names, read without running code of the project."""
    try:
        body = ast.parse(path.read_bytes()).body
    except SyntaxError as error:
        raise UsageError(f"it is not valid Python: {error.msg}", where=f"{path}:{error.lineno}") from error
    yield from (f"{path.stem}: {name}" for name in _function_names(body))
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from (f"{path.stem}.{node.name}: {name}" for name in _function_names(node.body))


def _function_names(body: Iterable[ast.stmt]) -> Iterator[str]:
    yield from (
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    )


def _function_name(check: str) -> str:
    """The name of a test's check without its parameters, and without the folders of its file.

    pytest names the folders if the images' own tests and those that the bakery ships are in different ones.
    """
    module, separator, function = check.partition(": ")
    names = module.split(".")
    first = next((number for number, name in enumerate(names) if name.startswith("test_")), 0)
    return f"{'.'.join(names[first:])}{separator}{function.partition('[')[0]}"
