"""The prebuilt bindings, from outside: mypy checks their arguments, and a program loads those of its stacks alone."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROVIDER = "cdktf_cdktf_provider_aws"
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


def test_a_program_loads_no_provider_before_its_stack_is_there() -> None:
    """Each costs a synth a tenth of a second, also where it has no such stack."""
    text = "import sys, bakery_stacks.program; print(*(name for name in sys.modules if '_provider_' in name))"
    loaded = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[0] for name in loaded if "." in name} == {PROVIDER}
