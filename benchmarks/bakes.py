"""The same image three ways: Packer with its plugins' defaults, `bakery bake` in vm mode and in chroot mode."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bakery.bake.task_times import read_task_times
from bakery.engine import toolbox
from bakery.machine import qemu, ssh
from bakery.model.project import Project
from bakery.model.version import ImageVersion

ROOT = Path(__file__).parents[1]
RUNS = 2
# Of Debian.yml and Debian-kernels.yml in ansible/playbooks/updates/.
UPDATE_TASKS = ("Upgrade packages", "List packages that no package needs", "Purge the kernels among them")
IMAGES = {"base": "debian-13", "vm": "bench-vm", "chroot": "bench-chroot"}
BASE = """\
name: debian-13
description: Base of the benchmark
os: debian-13
arch: x86_64
version: "1.0"
base:
  qemu: {debootstrap: {suite: trixie}}
"""
IMAGE = """\
name: bench-{mode}
description: nginx and jq in {mode} mode
os: debian-13
arch: x86_64
version: "1.0"
mode: {mode}
updates: {updates}
base:
  qemu: {{image: debian-13}}
software:
  packages: [jq]
  roles:
    - name: nginx
"""

# The last role of an image whose first ones are in a layer.
LAST = """\
- name: Write a file
  ansible.builtin.copy:
    content: "{{ last_text }}\\n"
    dest: /etc/last
    mode: "0644"
"""


def write_image(mode: str, updates: str = "all") -> str:
    """The text of the definition that is baked."""
    return IMAGE.format(mode=mode, updates=updates)


@dataclass(frozen=True)
class Bakes:
    """Wall seconds. `stock` is Packer with its plugins' defaults.

    `vm` boots its guest and saves the boot. `saved_boot` goes on from there, and `packer` is Packer's share of it: the
    same template without the bakery around it. `layered` goes on from the saved boot of the layer before the last role,
    which changed. `updates` is what `updates: all` adds by mode, over a base that has no updates.
    """

    accelerator: str
    stock: float
    vm: float
    saved_boot: float
    layered: float
    packer: float
    chroot: float
    updates: dict[str, float]


def measure(folder: Path) -> Bakes:
    """Bake each once, one after the other; the base and the package index come first and do not count."""
    images = folder / "images"
    images.mkdir(parents=True)
    (images / "debian-13.yaml").write_text(BASE)
    for mode in ("vm", "chroot"):
        (images / f"bench-{mode}.yaml").write_text(write_image(mode))
    project = Project(ROOT, images, folder / "workspace")
    bakery(project, "run", "debian-13")
    chroot = bakery(project, "bake", "bench-chroot")
    updates = {"chroot": _compare_updates(project, chroot)}
    vm = bakery(project, "bake", "bench-vm")
    updates["vm"] = _sum_updates(Path(_read_artifact(project, "1.0.0")["log"]))
    saved_boot = _bake_restored(project)
    ours = ("flatten", "digest")  # what the bakery does with the disk when Packer is done
    seconds = _read_artifact(project, "1.0.1")["seconds"]
    packer = sum(each for phase, each in seconds.items() if phase not in ours)
    layered = _bake_layered(project)
    accelerator = qemu.accelerator()
    return Bakes(accelerator, run_stock(project, accelerator), vm, saved_boot, layered, packer, chroot, updates)


def _read_artifact(project: Project, version: str) -> dict[str, Any]:
    """The document of the vm bake."""
    folder = project.artifact_folder(ImageVersion("bench-vm", "x86_64", version))
    return dict(json.loads((folder / "artifact.json").read_text()))


def _bake_restored(project: Project) -> float:
    """Seconds of the vm bake without layers, once a bake has saved the boot of its base."""
    (project.definitions / "bench-vm.yaml").write_text(write_image("vm") + "      vars: {nginx_message: Changed.}\n")
    bakery(project, "cache", "gc", "--yes", definitions=False)
    return bakery(project, "bake", "bench-vm")


def _bake_layered(project: Project) -> float:
    """Seconds of a vm bake whose last role changed, once a bake has saved the boot of the layer before it."""
    own = project.workspace / "layered"
    role = own / "ansible" / "roles" / "last"
    for name, text in {"tasks/main.yml": LAST, "meta/bakery.yml": "modes: [vm]\n"}.items():
        (role / name).parent.mkdir(parents=True)
        (role / name).write_text(text)
    seconds = 0.0
    for number in range(3):
        definition = write_image("vm").replace("bench-vm", "bench-layered")
        last = f'    - name: last\n      vars: {{last_text: "{number}"}}\n'
        (project.definitions / "bench-layered.yaml").write_text(definition + last)
        seconds = bakery(project, "bake", "bench-layered", root=own)
    return seconds


def _compare_updates(project: Project, first: float) -> float:
    """Seconds that a chroot bake takes more with updates than without, the best of RUNS each in turn."""
    definition = project.definitions / "bench-chroot.yaml"
    seconds = {"all": [first], "none": []}
    for updates in ("none", "all") * RUNS:
        definition.write_text(write_image("chroot", updates))
        seconds[updates].append(bakery(project, "bake", "bench-chroot"))
    return min(seconds["all"]) - min(seconds["none"])


def _sum_updates(log: Path) -> float:
    """Seconds of the tasks of a bake that update its base."""
    return sum(task.seconds for task in read_task_times(log) if not task.role and task.name in UPDATE_TASKS)


def bakery(
    project: Project,
    *arguments: str,
    root: Path = ROOT,
    definitions: bool = True,
    before: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> float:
    """Wall seconds of a verb on a project, whose roles may be in another `root`.

    `before` is a program that starts the bakery, with its options; `variables` are added to the environment.
    """
    options = ["--workspace", str(project.workspace)]
    options += ["--definitions", str(project.definitions)] if definitions else []
    command = [*before, str(ROOT / ".venv/bin/bakery"), *arguments, *options]
    return time_command(command, root, {**os.environ, **variables})


def run_stock(project: Project, accelerator: str, variables: Mapping[str, str] = MappingProxyType({})) -> float:
    """Wall seconds of Packer with its plugins' defaults; `variables` are added to the environment."""
    folder = project.workspace / "stock"
    folder.mkdir()
    code, store = qemu.firmware()
    vars_file = folder / "ansible.json"
    vars_file.write_text(json.dumps(_playbook_variables(folder)))
    given = {
        "base_disk": project.store / "debian-13-1.0.0-x86_64.qcow2",
        "output_folder": folder / "output",
        "ansible_playbook": Path(sys.executable).with_name("ansible-playbook"),
        "ansible_folder": ROOT / "ansible" / "playbooks",
        "ansible_vars": vars_file,
        "ssh_private_key": ssh.make_key(folder),
        "accelerator": accelerator,
        "firmware_code": code,
        "firmware_vars": store,
    }
    chain = toolbox.toolchain(project)
    environment = {**os.environ, "PACKER_PLUGIN_PATH": str(chain.plugins), "CHECKPOINT_DISABLE": "1", **variables}
    flags = [f"-var={name}={value}" for name, value in given.items()]
    return time_command(
        [str(chain.packer), "build", "-color=false", *flags, str(ROOT / "benchmarks/stock")], environment=environment
    )


def _playbook_variables(folder: Path) -> dict[str, object]:
    """The variables that the bakery gives its playbook for the same work."""
    return {
        "bakery_image": "stock",
        "bakery_version": "1.0.0",
        "bakery_os_family": "Debian",
        "software_updates": "all",
        "software_lock": {},
        "software_packages": ["jq"],
        "software_roles": ["nginx"],
        "software_start": {},
        "software_layers": {"cuts": {}},
        "image_tests": [],
        "image_test_report": str(folder / "report.xml"),
        "archives_report": str(folder / "archives.json"),
        "seal_keep_passwords": False,
        "seal_at_target": False,
        "root_archive": "",
    }


def time_command(command: list[str], folder: Path = ROOT, environment: dict[str, str] | None = None) -> float:
    """Wall seconds of a command that has to succeed."""
    began = time.monotonic()
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    return time.monotonic() - began
