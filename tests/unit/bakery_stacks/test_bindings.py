"""The prebuilt bindings: mypy checks their arguments, and nobody imports the roots of their packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bakery_stacks import lazy

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "cdktf"
SNIPPET = """
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from constructs import Construct


def make(scope: Construct) -> S3Bucket:
    return S3Bucket(scope, "bucket", {argument}="images")
"""


def check_types(text: str, folder: Path) -> str:
    """What mypy prints about a module of that text, with the project's own settings."""
    file = folder / "snippet.py"
    file.write_text(text)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        ROOT / "pyproject.toml",
        "--cache-dir",
        folder,
        file,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_mypy_sees_a_misspelt_argument(tmp_path: Path) -> None:
    assert "Success" in check_types(SNIPPET.format(argument="bucket"), tmp_path)
    assert 'Unexpected keyword argument "buckett" for "S3Bucket"' in check_types(
        SNIPPET.format(argument="buckett"), tmp_path
    )


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
