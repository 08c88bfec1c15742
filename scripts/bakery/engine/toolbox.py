"""Where the tools are and which versions they have."""

import platform
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from bakery.clouds import BUILDERS
from bakery.clouds.job import Toolchain
from bakery.host import files, process
from bakery.host.cache import Cache
from bakery.host.errors import BakeryError
from bakery.machine import qemu
from bakery.model.project import Project

# Of tools.toml, those whose version can change an image.
PLUGINS = ("packer-plugin-ansible", *(builder.plugin for builder in BUILDERS.values()))
# Programs of the system that can, and how each is asked for its version.
SYSTEM_TOOLS = {"qemu-system-x86_64": "--version", "qemu-img": "--version", "mke2fs": "-V", "mmdebstrap": "--version"}
MISSING = "missing"


def find(project: Project, name: str) -> Path:
    """A program: the one that the set-up installed, else the one on PATH. BakeryError if there is none."""
    installed = project.tool_bin / name
    found = str(installed) if installed.exists() else process.which(name)
    if found is None:
        raise BakeryError(f"{name} is not installed", hint="run 'make setup'; 'bakery doctor' shows what is missing")
    return Path(found)


def pinned(project: Project) -> dict[str, str]:
    """The versions that tools/tools.toml asks for, by tool."""
    listed = tomllib.loads(project.resources.tool_pins.read_text())
    return {name: entry["version"] for name, entry in listed.items()}


def versions(project: Project) -> dict[str, str]:
    """Version of every tool that can change an image. Starts neither Packer nor a guest."""
    asked = pinned(project)
    return {
        **{name: asked[name] for name in ("packer", *PLUGINS)},
        **_system_versions(project.cache / "tools.json"),
        "ansible-core": version("ansible-core"),
        "python": platform.python_version(),
    }


def machine() -> dict[str, str]:
    """What a guest sees of its hardware and firmware."""
    try:
        firmware = files.sha256(qemu.firmware()[0])
    except BakeryError:
        firmware = MISSING
    hardware = qemu.MACHINE
    return {
        "type": hardware.type,
        "cpu": hardware.cpu,
        "memory_mib": str(hardware.memory_mib),
        "cpus": str(hardware.cpus),
        "firmware": firmware,
    }


def toolchain(project: Project, accelerator: str = "") -> Toolchain:
    """Everything that a bake runs, proven to be there; the accelerator is tried out unless it is told."""
    return Toolchain(
        packer=find(project, "packer"),
        plugins=project.plugins,
        ansible_playbook=Path(sys.executable).parent / "ansible-playbook",
        accelerator=accelerator or qemu.accelerator(project.cache / "accelerator.json"),
        versions=versions(project),
    )


def _system_versions(cache: Path) -> dict[str, str]:
    """Asked once per installed program; `cache` remembers the answer for that file."""
    answers = Cache(cache)
    versions = {name: _version(name, flag, answers) for name, flag in SYSTEM_TOOLS.items()}
    answers.save()
    return versions


def _version(name: str, flag: str, answers: Cache) -> str:
    path = process.which(name)
    if path is None:
        return MISSING
    stat = Path(path).stat()
    stamp = f"{path} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"
    return answers.get(stamp, lambda: _ask(path, flag))


def _ask(path: str, flag: str) -> str:
    """The first version number that a program prints, on either stream."""
    lines: list[str] = []
    process.run([path, flag], on_output=lines.append, timeout=20)
    found = re.search(r"\d+\.\d+(\.\d+)*", "\n".join(lines))
    return found[0] if found else MISSING
