"""Proves that the tools of each stage work: runs each one and compares its version with what is required."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Literal

from bakery.bake.bake import check_folders
from bakery.contents import require_readable
from bakery.engine import notifications, toolbox
from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.parallel import run_parallel
from bakery.host.process import ProcessError
from bakery.host.vault import Vault
from bakery.infra.env import variables
from bakery.layers.debian import NEEDED_BYTES
from bakery.machine import network, qemu, root
from bakery.machine.timeout import ssh_timeout
from bakery.model.project import Project, name_shared_layers

Stage = Literal["bake", "refresh", "verify", "publish", "infra"]
PROBES_AT_ONCE = 4  # they mostly wait for a program to start
SECONDS = 120.0  # for a program to answer; a first start from a cold disk can take half a minute


@dataclass(frozen=True)
class ToolCheck:
    """The result for one tool. `answer` is empty when the tool does not work; `hint` says what to do then."""

    tool: str
    answer: str
    required: str
    hint: str

    @property
    def passed(self) -> bool:
        return bool(self.answer)


_listing_plugins = Lock()  # the first probe asks Packer, and the others wait for its answer

Probe = Callable[[Project], str]  # returns the version or the path; raises BakeryError when the tool does not work


def check_tools(project: Project, stage: Stage | None) -> list[ToolCheck]:
    """Check the tools of a stage, or of all stages."""
    pins = toolbox.pinned(project)
    groups = [group for name, group in PROBES.items() if stage in (None, name)]
    probes = {name: probe for group in groups for name, probe in group.items()}
    return [_check_tool(name, probe, pins.get(name, ""), project) for name, probe in probes.items()]


def find_faults(project: Project, names: Iterable[str]) -> Iterator[tuple[str, BakeryError]]:
    """The tools among these that do not work, each with its error."""
    pins = toolbox.pinned(project)
    probes = {name: probe for group in PROBES.values() for name, probe in group.items()}
    outcomes = run_parallel(
        list(names), lambda name: _run_probe(name, probes[name], pins.get(name, ""), project), PROBES_AT_ONCE
    )
    yield from ((outcome.name, outcome.error) for outcome in outcomes if outcome.error)


def _check_tool(name: str, probe: Probe, pin: str, project: Project) -> ToolCheck:
    requirement = toolbox.accepted(pin) if pin else ""
    try:
        return ToolCheck(name, _run_probe(name, probe, pin, project), requirement, "")
    except BakeryError as error:
        return ToolCheck(name, "", requirement, f"{error.message}: {error.hint}" if error.hint else error.message)


def _run_probe(name: str, probe: Probe, pin: str, project: Project) -> str:
    """The answer of a tool; BakeryError if it does not work, or is not of the pinned version."""
    answer = probe(project)
    if pin and not toolbox.accepts(pin, answer):
        message = f"{answer} is installed, and {name} {toolbox.accepted(pin)} is needed"
        raise BakeryError(message, hint="run 'make setup'")
    return answer


def _version_probe(name: str, *arguments: str) -> Probe:
    """Run a program of the set-up; the first line that it prints is the answer."""

    def probe(project: Project) -> str:
        answer = process.run([toolbox.find(project, name), *arguments], env=_quiet_variables(project), timeout=SECONDS)
        if not answer.stdout.strip():
            raise BakeryError(f"{name} does not print its version", hint="run 'make setup'")
        return answer.stdout.strip().splitlines()[0]

    return probe


def _path_probe(name: str) -> Probe:
    def probe(_: Project) -> str:
        path = process.which(name)
        if path is None:
            raise BakeryError(f"{name} is not on PATH", hint="run 'make setup'")
        return path

    return probe


def _plugin_probe(name: str) -> Probe:
    """Packer itself lists the plugins that it can load."""

    def probe(project: Project) -> str:
        with _listing_plugins:
            plugins = _list_plugins(project)
        plugin = next((plugin for plugin in plugins if name in plugin), "")
        if not plugin:
            raise BakeryError(f"Packer does not load {name}", hint="run 'make setup'")
        return plugin

    return probe


@cache
def _list_plugins(project: Project) -> tuple[str, ...]:
    """The file names of the plugins that Packer loads. It is started once, for all of them."""
    packer = toolbox.find(project, "packer")
    output = process.run([packer, "plugins", "installed"], env=_quiet_variables(project), timeout=SECONDS).stdout
    return tuple(Path(line).name for line in output.splitlines())


def _probe_version_locks(_: Project) -> str:
    """Without its plugin, dnf would upgrade what an image locks."""
    try:
        process.run(["dnf", "versionlock", "--help"], timeout=SECONDS)
    except ProcessError as error:
        raise BakeryError("dnf does not load it", hint="run 'make setup'") from error
    return "dnf loads it"


def _find_guestfish(_: Project) -> str:
    return process.which(root.TOOL) or f"not installed (only disks with {', '.join(root.SIGNATURES)} need it)"


def _find_git(_: Project) -> str:
    return process.which("git") or "not installed (images then name no commit)"


def _find_firmware(_: Project) -> str:
    return str(qemu.firmware()[0])


def _measure_space(project: Project) -> str:
    """The free space of the workspace; BakeryError if not even a base of Debian would fit."""
    files.require_space(project.workspace, NEEDED_BYTES, "a Debian base")
    return f"{files.find_free_space(project.workspace) >> 30} GiB free for {project.workspace}"


def _check_settings(project: Project) -> str:
    """Check the folders and the variables that every bake reads; BakeryError if it would refuse them."""
    check_folders(project)
    require_readable(project.workspace)
    ssh_timeout("10m")
    name_shared_layers()
    network.allowed_ports()
    return "bakes take the folders and variables"


def _find_accelerator(_: Project) -> str:
    accelerator = qemu.accelerator()
    note = "a guest was started with it" if accelerator == "kvm" else "no usable KVM, guests are 5 to 10 times slower"
    return f"{accelerator}: {note}"


def _probe_network(_: Project) -> str:
    """Whether a bake gets a network of its own; BakeryError if it would get none, and be refused."""
    obstacle = network.find_obstacle()
    if not obstacle:
        return "a bake has its own"
    if address := network.find_metadata_service():
        raise BakeryError(f"{obstacle}, and {address} would give a bake the rights of this machine", hint=network.DOCS)
    return f"a bake shares that of this machine: {obstacle}"


def _python_probe(code: str) -> Probe:
    """Run a line of Python in a child; its output is the answer."""

    def probe(project: Project) -> str:
        return process.run(
            [sys.executable, "-c", code], env=variables(project, os.environ), timeout=SECONDS
        ).stdout.strip()

    return probe


def _cdktf_cli(project: Project) -> str:
    cdktf = project.root / "node_modules" / ".bin" / "cdktf"
    return process.run([cdktf, "--version"], env=variables(project, os.environ), timeout=SECONDS).stdout.strip()


def _try_login(_: Project) -> str:
    if "VAULT_ADDR" not in os.environ:
        return "not configured (only images with secrets need it)"
    with Vault.login(os.environ) as vault:
        return f"login works at {vault.address}"


def _reach_recipients(_: Project) -> str:
    """Reach every recipient of notices without sending anything."""
    names = notifications.named_recipients().split()
    answers = [notifications.open_recipient(name).require() for name in names]
    return "; ".join(answers) or f"not configured ({notifications.VARIABLE} names no topic and no webhook)"


def _quiet_variables(project: Project) -> dict[str, str]:
    """Variables that keep Packer, syft and grype from looking for updates and show Packer the plugins of the set-up."""
    return {
        "PACKER_PLUGIN_PATH": str(project.plugins),
        "CHECKPOINT_DISABLE": "1",
        "SYFT_CHECK_FOR_APP_UPDATE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
    }


PROBES: dict[Stage, dict[str, Probe]] = {
    "bake": {
        "packer": _version_probe("packer", "version"),
        **{name: _plugin_probe(name) for name in toolbox.PLUGINS},
        "ansible-core": _python_probe("from ansible.release import __version__; print(__version__)"),
        "qemu-img": _version_probe("qemu-img", "--version"),
        "mmdebstrap": _version_probe("mmdebstrap", "--version"),
        "mtools": _path_probe("mcopy"),
        "sfdisk": _path_probe("sfdisk"),
        "dumpe2fs": _path_probe("dumpe2fs"),
        "xorriso": _path_probe("xorriso"),
        "zstd": _path_probe("zstd"),
        "syft": _version_probe("syft", "--version"),
        "git": _find_git,
        "network": _probe_network,
        "settings": _check_settings,
        "disk space": _measure_space,
        "vault login": _try_login,
    },
    "refresh": {
        "apt": _version_probe("apt-get", "--version"),
        "dnf": _version_probe("dnf", "--version"),
        "dnf versionlock": _probe_version_locks,
        "fakeroot": _path_probe("fakeroot"),
        "rpm": _version_probe("rpm", "--version"),
        "grype": _version_probe("grype", "--version"),
    },
    "verify": {
        "qemu": _version_probe("qemu-system-x86_64", "--version"),
        "UEFI firmware": _find_firmware,
        "accelerator": _find_accelerator,
        "ssh": _path_probe("ssh"),
        "debugfs": _path_probe("debugfs"),
        "dumpe2fs": _path_probe("dumpe2fs"),
        "mtools": _path_probe("mdir"),
        root.TOOL: _find_guestfish,
    },
    "publish": {
        "boto3": _python_probe("import boto3; print(boto3.__version__)"),
        "notices": _reach_recipients,
    },
    "infra": {
        "terraform": _version_probe("terraform", "version"),
        "cdktf": _python_probe("import cdktf; print(cdktf.App.__name__, 'loads')"),
        "cdktf-cli": _cdktf_cli,
    },
}
