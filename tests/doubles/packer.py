"""A small project, and executables that stand in for Packer and the programs around it."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import guest_boot, packer
from bakery.clouds.definitions import Definition
from bakery.clouds.job import Job, Toolchain
from bakery.host import files
from bakery.host.events import Event
from bakery.machine import qemu
from bakery.machine.disk_image import BaseDisk
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Base
from bakery.model.project import Project

DEFINITION: dict[str, Any] = {
    "name": "web",
    "description": "A web server",
    "os": "debian-12",
    "arch": "x86_64",
    "version": "1.0",
    "base": {"qemu": {"image": "debian-12"}},
    "software": {"packages": ["jq"], "roles": [{"name": "nginx", "vars": {"nginx_port": 8080}}]},
}

# What every stand-in for Packer begins with: it notes what it was given, and can do what Packer does.
PACKER = '''#!{python} -IS
import json, os, pathlib, signal, subprocess, sys, time
file = next(argument.removeprefix("-var-file=") for argument in sys.argv if argument.startswith("-var-file="))
variables = json.loads(pathlib.Path(file).read_text())
ansible_vars = json.loads(pathlib.Path(variables["ansible_vars"]).read_text())

def read_data(node):
    """Text as Ansible reads it, which is marked as data."""
    return node["__ansible_unsafe"] if "__ansible_unsafe" in node else node

software = json.loads(json.dumps(ansible_vars), object_hook=read_data)
mode = oct(os.stat(pathlib.Path(file).parent).st_mode & 0o777)
pathlib.Path({record!r}).write_text(json.dumps(
    dict(argv=sys.argv, env=dict(os.environ), variables=variables, software=software, ansible_vars=ansible_vars,
         mode=mode)
))
output = pathlib.Path(variables.get("output_folder", "/nowhere"))  # a build at a target has none

def say(text, mark="==> "):
    """A line of Packer's; with four spaces as mark, one of Ansible's."""
    print(f"2026-11-23T15:48:34Z: {{mark}}qemu.image: {{text}}", flush=True)

def ansible(*lines):
    for line in lines:
        say(line, "    ")

def disk(name="disk.qcow2", content=b"baked"):
    output.mkdir()
    (output / name).write_bytes(content)

def manifest(**changes):
    files = [dict(name=str(path), size=1) for path in output.iterdir()]
    build = dict(packer_run_uuid="now", files=files) | changes
    pathlib.Path(variables["manifest"]).write_text(json.dumps(dict(builds=[build], last_run_uuid="now")))

def manifest_of(artifact_id, **custom):
    """The manifest of a build at a target."""
    build = dict(packer_run_uuid="now", artifact_id=artifact_id, custom_data=custom)
    pathlib.Path(variables["manifest"]).write_text(json.dumps(dict(builds=[build], last_run_uuid="now")))

def seal():
    """The report of the seal, which is the end of the play."""
    pathlib.Path(software["archives_report"]).touch()

def done():
    seal()
    print("==> Builds finished. The artifacts of successful builds are:", flush=True)

def guest():
    """A process that goes on when Packer is killed, as a guest does."""
    child = subprocess.Popen(["sleep", "60"], env=dict(os.environ, DISK=str(output)), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not pathlib.Path(f"/proc/{{child.pid}}/environ").read_bytes():
        pass  # Popen returns while the kernel still loads the program
    pathlib.Path(variables["pid_file"]).write_text(str(child.pid))
    pathlib.Path({guest!r}).write_text(str(child.pid))

'''

# The end of a play as ansible-core 2.19.14 with ansible.posix 2.1.0 printed it.
RECAP = (
    "TASKS RECAP ********************************************************************",
    "Monday 30 November 2026  11:06:52 +0000 (0:00:02.005)       0:00:07.380 ******* ",
    "=============================================================================== ",
    "nginx : Wait --- for 3.00s ---------------------------------------------- 4.21s",
    "Install packages -------------------------------------------------------- 2.01s",
    "nginx : Write the configuration of a site with a name so long that the line of the recap has no room for dashes "
    "--- 1.00s",
    "",
)

# The last two arguments of `convert` are source and target.
QEMU_IMG = """#!/bin/sh
case "$1" in
info) echo '{"virtual-size": 4294967296, "format": "qcow2"}' ;;
convert) shift $(($# - 2)); cp "$1" "$2" ;;
map)
  shift $(($# - 1)); size=$(stat -c %s "$1")
  echo '[{"start": 0, "length": '$size', "depth": 0, "zero": false, "data": true, "offset": 0}]' ;;
esac
"""
# A disk whose partitions are none of the test's business.
SFDISK = """#!/bin/sh
echo '{"partitiontable": {"device": "disk.raw", "sectorsize": 512, "partitions": []}}'
"""
SSH_KEYGEN = """#!/bin/sh
while [ "$1" != -f ]; do shift; done
echo private-key-5Qx2vK >"$2"; echo public >"$2.pub"
"""


@dataclass
class PackerProject:
    """A project with one role, its programs, and what stages reported."""

    folder: Path
    project: Project
    toolchain: Toolchain
    base: BaseDisk
    events: list[Event] = field(default_factory=list)

    def packer(self, body: str) -> None:
        """Let Packer do `body`, Python with the helpers above."""
        record, guest = self.folder / "record.json", self.folder / "guest"
        head = PACKER.format(python=sys.executable, record=str(record), guest=str(guest))
        _executable(self.toolchain.packer, head + body)

    def role(self, name: str, files: Mapping[str, str] | None = None) -> None:
        """A role with files by path."""
        for path, text in {"tasks/main.yml": "[]\n", **(files or {})}.items():
            target = self.project.root / "ansible" / "roles" / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

    def job(self, definition: ImageDefinition) -> Job:
        """A job with empty folders."""
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        log = self.project.logs / "bake.log"
        job = Job(
            self.project, definition, "1.0.0", "qemu", self.base, self.toolchain, scratch, log, self.events.append
        )
        job.ansible_files.mkdir(mode=0o700)
        return job

    def record(self) -> dict[str, Any]:
        """What the stand-in for Packer was given; empty if it never ran."""
        file = self.folder / "record.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def guest_lives(self) -> bool:
        """Whether the process that `guest()` started is still there (a zombie is not)."""
        try:
            return bool(Path("/proc", (self.folder / "guest").read_text(), "cmdline").read_bytes())
        except FileNotFoundError:
            return False


def make_world(folder: Path, patch: pytest.MonkeyPatch) -> PackerProject:
    """A project whose Packer succeeds, with its programs first on PATH."""
    programs = folder / "bin"
    _executable(programs / "qemu-img", QEMU_IMG)
    _executable(programs / "sfdisk", SFDISK)
    _executable(programs / "ssh-keygen", SSH_KEYGEN)
    patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name in ("code.fd", "vars.fd", "base.qcow2"):
        (folder / name).write_bytes(b"base")
    patch.setattr(packer, "separate_network", lambda *_: [])  # test_separation.py has both
    patch.setattr(packer, "separate_ansible", lambda job: job.toolchain.ansible_playbook)
    patch.setattr(guest_boot, "can_restore", lambda _: False)  # test_saved_boot.py has it
    patch.setattr(qemu, "FIRMWARE", ((folder / "code.fd", folder / "vars.fd"),))
    root = folder / "project"
    project = Project(root, root / "packer" / "images", folder / "workspace")
    toolchain = Toolchain(
        programs / "packer", folder / "plugins", programs / "ansible-playbook", "tcg", {"packer": "1.11.2"}
    )
    base = BaseDisk(folder / "base.qcow2", Base("debian-12", "1.0.3", "b" * 64), files.sha256(folder / "base.qcow2"))
    world = PackerProject(folder, project, toolchain, base)
    world.role("nginx", {"meta/bakery.yml": "modes: [vm, chroot]\n"})
    world.packer("disk(); manifest(); done()")
    return world


def define(**changes: Any) -> ImageDefinition:
    """A definition, with changes at its top level."""
    return Definition.model_validate_json(json.dumps(DEFINITION | changes))


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
