"""Finds the tools and their versions."""

import platform
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bakery.clouds import BUILDERS
from bakery.clouds.job import Toolchain
from bakery.host import files, process
from bakery.host.cache import Cache
from bakery.host.errors import BakeryError
from bakery.machine import qemu
from bakery.model.project import Project

# The plugins in tools.toml: their versions can change an image.
PLUGINS = ("packer-plugin-ansible", *(builder.plugin for builder in BUILDERS.values()))
# The system's programs whose versions can change an image, and the option that prints the version.
SYSTEM_TOOLS = {
    "qemu-system-x86_64": "--version",
    "qemu-img": "--version",
    "mke2fs": "-V",
    "mmdebstrap": "--version",
    "sfdisk": "--version",
    "mformat": "--version",
}
# Ansible's collections, and what it reads files, evaluates templates and runs modules with.
LIBRARIES = ("ansible", "ansible-core", "jinja2", "mitogen", "pyyaml")
MISSING = "missing"
# A version in a text such as "Packer v1.16.0" or "packer-plugin-qemu_v1.0.9_x5.0", but no pre-release.
RELEASE = re.compile(r"(?<![\d.])(\d+)\.(\d+)\.(\d+)(?![\d.-])")


def find(project: Project, name: str) -> Path:
    """A program that the set-up installed, or one on PATH; BakeryError if there is none."""
    installed = project.tool_bin / name
    path = str(installed) if installed.exists() else process.which(name)
    if path is None:
        raise BakeryError(f"{name} is not installed", hint="run 'make setup', which installs every tool")
    return Path(path)


def pinned(project: Project) -> dict[str, str]:
    """The versions that tools/tools.toml asks for, by tool."""
    listed = tomllib.loads(project.resources.tool_pins.read_text())
    return {name: entry["version"] for name, entry in listed.items()}


def accepts(pin: str, text: str) -> bool:
    """Whether a program's output names the pinned version or a newer one of its major, as the set-up requires."""
    offered, oldest = RELEASE.search(text), RELEASE.fullmatch(pin)
    if not offered or not oldest:
        return False
    numbers, needed = (tuple(int(number) for number in version.groups()) for version in (offered, oldest))
    return numbers >= needed and numbers[0] == needed[0]


def accepted(pin: str) -> str:
    """The range of versions that `accepts` takes, for a message."""
    return f">= {pin}, < {int(pin.partition('.')[0]) + 1}"


def versions(project: Project) -> dict[str, str]:
    """Version of every tool that can change an image, as the installed program reports it. Starts no guest."""
    return {
        **_program_versions(_version_commands(project), project.cache / "tools.json"),
        **{name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
    }


def machine() -> dict[str, str]:
    """The hardware and firmware that a guest sees."""
    try:
        firmware = files.sha256(qemu.firmware()[0])
    except BakeryError:
        firmware = MISSING
    hardware = qemu.MACHINE
    return {
        "type": hardware.type,
        "cpu": hardware.cpu,
        "memory_mib": str(hardware.memory_mib),
        "firmware": firmware,
    }


def toolchain(project: Project, accelerator: str = "") -> Toolchain:
    """The programs that a bake runs, all present. Without an `accelerator`, the best one of this machine is found."""
    return Toolchain(
        packer=find(project, "packer"),
        plugins=project.plugins,
        ansible_playbook=Path(sys.executable).parent / "ansible-playbook",
        accelerator=accelerator or qemu.accelerator(),
        versions=versions(project),
    )


def _version_commands(project: Project) -> dict[str, tuple[Path | None, str]]:
    """Each program whose version can change an image, and the argument that makes it print its version."""
    packer = project.tool_bin / "packer"
    return {
        "packer": (packer if packer.exists() else _program_path("packer"), "version"),
        **{name: (_plugin_path(project, name), "describe") for name in PLUGINS},
        **{name: (_program_path(name), flag) for name, flag in SYSTEM_TOOLS.items()},
    }


def _program_path(name: str) -> Path | None:
    path = process.which(name)
    return Path(path) if path else None


def _plugin_path(project: Project, name: str) -> Path | None:
    """The set-up leaves one version of a plugin, with its checksum beside it."""
    folder = project.plugins / "github.com" / "hashicorp" / name.removeprefix("packer-plugin-")
    programs = (path for path in folder.glob(f"{name}_v*") if not path.name.endswith("_SHA256SUM"))
    return next(programs, None)


def _program_versions(programs: Mapping[str, tuple[Path | None, str]], cache: Path) -> dict[str, str]:
    """The version of each program. Each installed file is run once; `cache` keeps its answer."""
    answers = Cache(cache)
    versions = {name: _cached_version(path, argument, answers) for name, (path, argument) in programs.items()}
    answers.save()
    return versions


def _cached_version(path: Path | None, argument: str, answers: Cache) -> str:
    if path is None:
        return MISSING
    return answers.get_of_file(path, str(path), lambda: _ask_version(path, argument))


def _ask_version(path: Path, argument: str) -> str:
    """The first version number that a program prints, on either stream."""
    lines: list[str] = []
    # Without the variable Packer asks its vendor for updates, and waits for the answer.
    process.run([path, argument], env={"CHECKPOINT_DISABLE": "1"}, on_output=lines.append, timeout=20)
    match = re.search(r"\d+\.\d+(\.\d+)*", "\n".join(lines))
    return match[0] if match else MISSING
