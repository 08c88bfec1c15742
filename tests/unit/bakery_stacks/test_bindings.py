"""The prebuilt bindings: nobody imports the roots of their packages."""

import ast
from pathlib import Path

import pytest

from bakery_stacks import lazy

PROGRAM = Path(__file__).parents[3] / "cdktf"


def test_stacks_import_submodules_only() -> None:
    """A class from a package's root would be Any to mypy, and missing when the program runs."""
    roots = {lazy.bindings_package(provider) for provider in lazy.PROVIDERS}
    importing = {path.relative_to(PROGRAM).as_posix() for path in PROGRAM.rglob("*.py") if roots & modules(path)}
    assert importing == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("import a.b as c", {"a.b"}), ("from a import b", {"a"}), ("from a.b import C", {"a.b"})],
)
def test_imports_are_seen(text: str, expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(text)
    assert modules(tmp_path / "module.py") == expected


def modules(path: Path) -> set[str]:
    """The modules that a file imports, or imports from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
