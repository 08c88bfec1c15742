"""One bake on its way: what it works on, where its files are, and what Packer and Ansible are told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery import qemu
from bakery.bake.base import BaseDisk
from bakery.definition import ImageDefinition
from bakery.events import Event, Tell
from bakery.project import Project
from bakery.vault import Vault

TEMPLATES = {"vm": "qemu", "chroot": "chroot"}
# Boot to SSH takes 40 s without acceleration on two idle cores; a busy machine gets ten times that and more.
SSH_TIMEOUT = {"kvm": "3m", "tcg": "10m"}


@dataclass(frozen=True)
class Toolchain:
    """The programs of a bake. `plugins` is Packer's plugin folder, `versions` are by tool name."""

    packer: Path
    plugins: Path
    ansible_playbook: Path
    accelerator: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """A bake. `scratch` is a private folder that goes away with it, `log` gets what Packer prints."""

    project: Project
    definition: ImageDefinition
    version: str
    base: BaseDisk
    toolchain: Toolchain
    scratch: Path
    log: Path
    tell: Tell

    @property
    def subject(self) -> str:
        return f"{self.definition.name} {self.version}"

    @property
    def template(self) -> Path:
        own = self.definition.template
        return self.project.definitions / own if own else self.project.templates / TEMPLATES[self.definition.mode]

    @property
    def output(self) -> Path:
        """Packer's own folder; its builder insists on making it."""
        return self.scratch / "output"

    @property
    def manifest(self) -> Path:
        return self.scratch / "manifest.json"

    @property
    def console(self) -> Path:
        """What the guest prints on its serial line; kept beside the log."""
        return self.log.with_suffix(".console")

    @property
    def qemu_log(self) -> Path:
        return self.scratch / "qemu.log"

    def progress(self, text: str) -> None:
        self.tell(Event("progress", "bake", self.subject, text))


def packer_variables(job: Job, ansible_vars: Path) -> bytes:
    """What every template gets, as JSON; packer/templates/*/variables.pkr.hcl say what each is for."""
    variables: dict[str, Any] = {
        "image": job.definition.name,
        "version": job.version,
        "base_disk": str(job.base.path),
        "output_folder": str(job.output),
        "manifest": str(job.manifest),
        "pid_file": str(job.scratch / "holder.pid"),
        "ansible_playbook": str(job.toolchain.ansible_playbook),
        "ansible_folder": str(job.project.ansible),
        "ansible_vars": str(ansible_vars),
    }
    if job.definition.mode == "vm":
        variables |= _guest_variables(job)
    return json.dumps(variables, indent=2).encode()


def _guest_variables(job: Job) -> dict[str, Any]:
    code, variables = qemu.firmware()
    machine = qemu.MACHINE
    return {
        "disk_size": qemu.inspect(job.base.path)["virtual-size"],
        "secrets": {name: {"path": ref.path, "key": ref.key} for name, ref in job.definition.secrets.items()},
        "ssh_private_key": str(qemu.make_key(job.scratch)),
        "ssh_timeout": SSH_TIMEOUT[job.toolchain.accelerator],
        "serial_log": str(job.console),
        "accelerator": job.toolchain.accelerator,
        "machine_type": machine.type,
        "cpu": machine.cpu,
        "cpus": machine.cpus,
        "memory_mib": machine.memory_mib,
        "firmware_code": str(code),
        "firmware_vars": str(variables),
    }


def ansible_variables(job: Job) -> bytes:
    """The definition's software for ansible/bake.yml, as JSON."""
    software = job.definition.software
    values: dict[str, Any] = {name: value for use in software.roles for name, value in use.vars.items()}
    values |= {
        "bakery_image": job.definition.name,
        "bakery_version": job.version,
        "software_packages": software.packages,
        "software_roles": [use.name for use in software.roles],
    }
    return json.dumps(values, indent=2).encode()


def secret_environment(job: Job, vault: Vault | None, secrets: Mapping[str, str]) -> dict[str, str]:
    """What Packer's environment gets of the secrets.

    The qemu template asks Vault itself. The chroot template gets the values, since Packer's shell-local would write
    those that the template hands it on a command line.
    """
    if vault is None or not secrets:
        return {}
    if job.definition.mode == "chroot":
        return {name.upper(): value for name, value in secrets.items()}
    return vault.environment()
