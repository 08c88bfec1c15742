"""A day's work of the README, word by word, after the demo."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.checkout import copy_files, list_files
from integration.clones import run_lines
from integration.readme import day_of_work

SECONDS = 3600.0  # of the demo, and of the day; each bakes, boots and uploads emulated machines


@pytest.fixture(scope="module")
def demonstrated(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project in which the demo has run once; its services stop at the end."""
    tmp_path = tmp_path_factory.mktemp("demo")
    copy_files(list_files(project_root), project_root, tmp_path)
    (tmp_path / ".bakery").mkdir()
    (tmp_path / ".bakery" / "tools").symlink_to(project_root / ".bakery" / "tools")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    (tmp_path / "node_modules").symlink_to(project_root / "node_modules")
    try:
        run_shell(tmp_path, "source .venv/bin/activate; bakery demo")
        yield tmp_path
    finally:
        run_shell(tmp_path, "source .venv/bin/activate; bakery demo --down")


def run_shell(project: Path, script: str) -> None:
    """Lines of a shell, each of which must work."""
    done = run_lines(project, f"set -ex\n{script}", SECONDS)
    assert done.returncode == 0, done.stdout


# The demo takes minutes of a processor; tests/unit/bakery/cli/test_day.py has the verbs without tools.
pytestmark = [pytest.mark.soak, pytest.mark.root, pytest.mark.guest, pytest.mark.integration]


def test_a_day_of_work_runs_as_written(demonstrated: Path, project_root: Path) -> None:
    run_shell(demonstrated, day_of_work(project_root))


def test_a_promotion_that_is_killed_is_finished(demonstrated: Path) -> None:
    """After the day, which left one version that can be promoted: the demo makes another one."""
    run_shell(demonstrated, "source .venv/bin/activate; bakery demo --change role; bakery demo --crash")
