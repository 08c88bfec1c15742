"""Finds missing packages of Debian and Ubuntu, and installs them with apt if this user may."""

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.progress import Progress, SetupError

PACKAGES = Path(__file__).with_name("system-packages.txt")
APT_LOCK_S = 300  # fresh cloud machines run unattended upgrades for minutes


def wanted(path: Path = PACKAGES) -> list[str]:
    names = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return [name for name in names if name and not (name == "python3-venv" and _has_ensurepip())]


def missing(names: Sequence[str]) -> list[str]:
    _require_debian()
    argv = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *names]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    installed_names = {line.split()[0] for line in answer.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed_names]


def prefix() -> list[str]:
    """The command prefix with which this user becomes root without a password; SetupError if there is none."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0:
        return sudo
    raise SetupError("system packages are missing and this user may not install them")


def require(names: Sequence[str]) -> list[str]:
    """The command prefix to install with; the error carries the exact command for someone who may."""
    try:
        return prefix()
    except SetupError as error:
        command = f"sudo apt-get update && sudo apt-get install --no-install-recommends -y {' '.join(names)}"
        raise SetupError(f"{error}: {' '.join(names)}", f"run this, then try again:\n    {command}") from error


def install(names: Sequence[str], before: Sequence[str], progress: Progress) -> None:
    progress.say("system", f"installing {len(names)} packages with apt: {' '.join(names)}")
    # `env` behind sudo, which drops variables; apt must never stop to ask.
    apt = [*before, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", f"DPkg::Lock::Timeout={APT_LOCK_S}"]
    progress.run("system", "updating package lists", [*apt, "update"])
    progress.run("system", "installing packages", [*apt, "install", "--no-install-recommends", "-y", *names])
    progress.say("system", "packages installed")


def _has_ensurepip() -> bool:
    return importlib.util.find_spec("ensurepip") is not None


def _require_debian() -> None:
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    if "debian" not in (system.get("ID", ""), *system.get("ID_LIKE", "").split()):
        name = system.get("PRETTY_NAME", platform.system())
        raise SetupError(
            f"{name} is not supported: the bakery runs on Debian or Ubuntu",
            "use a Debian or Ubuntu machine, virtual machine or container",
        )
