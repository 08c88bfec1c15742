"""How a user calls the bakery in a clone of the project."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bakery.infra import mirror
from bakery.machine import network


def copy_project(root: Path, folder: Path) -> None:
    """Copy a project's roles, templates and pins, and link the tools that it installed."""
    for name in ("ansible", "packer", "tools"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".bakery").mkdir()
    (folder / ".bakery" / "tools").symlink_to(root / ".bakery" / "tools")


def user_environment() -> dict[str, str]:
    """A user's environment after `source .venv/bin/activate`, with the settings of this machine alone.

    These are open ports, and the mirror of a machine that cannot reach Terraform's registry.
    """
    of_machine = (network.PORTS, mirror.VARIABLE, mirror.CONFIG_VARIABLE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAKERY_") or name in of_machine}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}


def run_bakery(
    project: Path, *arguments: str, code: int, seconds: float, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """A command in a project, which must end with this exit code within these seconds."""
    run = subprocess.run(
        [Path(sys.executable).with_name("bakery"), *arguments],
        cwd=project,
        env=user_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert run.returncode == code, f"bakery {' '.join(arguments)}\n{run.stdout}{run.stderr}"
    return run


def run_lines(project: Path, lines: str, seconds: float) -> "subprocess.CompletedProcess[str]":
    """Lines of a shell in a project, with both outputs in one, as a user sees them."""
    return subprocess.run(
        ["bash", "-c", lines],
        cwd=project,
        env=user_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
