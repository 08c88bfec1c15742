"""One bake on its way: what it works on, where its files are, and what Packer and Ansible are told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.bake.base import BaseDisk
from bakery.definition import ImageDefinition
from bakery.events import Event, Tell
from bakery.naming import Named, full_name
from bakery.project import Project
from bakery.tags import identity
from bakery.vault import Vault


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
    """A bake. `scratch` is a private folder that goes away with it, `log` gets what Packer prints.

    `builder` is the key of the definition's base; only QEMU's has a base disk here.
    """

    project: Project
    definition: ImageDefinition
    version: str
    builder: str
    base: BaseDisk | None
    toolchain: Toolchain
    scratch: Path
    log: Path
    tell: Tell
    source: str = ""  # image at the target that a remote build starts from, if it is one of ours

    @property
    def subject(self) -> str:
        return f"{self.definition.name} {self.version}"

    @property
    def template(self) -> Path:
        own = self.definition.template
        folder = self.definition.template_folder(self.builder)
        return self.project.definitions / own if own else self.project.templates / folder

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

    @property
    def tests(self) -> list[str]:
        """Test files to run inside of the build: where no disk comes here that could be booted."""
        if self.base or self.definition.windows:  # testinfra speaks SSH
            return []
        return [str(self.project.image_tests / f"test_{name}.py") for name in self.definition.tests]

    @property
    def test_report(self) -> Path:
        return self.scratch / "tests.xml"

    @property
    def secret_references(self) -> dict[str, dict[str, str]]:
        """For templates that ask Vault themselves."""
        return {name: {"path": ref.path, "key": ref.key} for name, ref in self.definition.secrets.items()}

    def progress(self, text: str) -> None:
        self.tell(Event("progress", "bake", self.subject, text))


def common_variables(job: Job, ansible_vars: Path) -> dict[str, Any]:
    """What every template gets; packer/templates/common.pkr.hcl says what each is for."""
    of = Named(job.definition.name, job.definition.arch, job.version)
    return {
        "image": job.definition.name,
        "version": job.version,
        "artifact_name": full_name(of),
        "description": job.definition.description,
        "tags": {**job.definition.tags, **identity(of)},
        "manifest": str(job.manifest),
        "ansible_playbook": str(job.toolchain.ansible_playbook),
        "ansible_folder": str(job.project.ansible),
        "ansible_vars": str(ansible_vars),
    }


def ansible_variables(job: Job) -> bytes:
    """The definition's software for ansible/bake.yml, as JSON."""
    software = job.definition.software
    values: dict[str, Any] = {name: value for use in software.roles for name, value in use.vars.items()}
    values |= {
        "bakery_image": job.definition.name,
        "bakery_version": job.version,
        "bakery_os_family": job.definition.family or "",
        "software_packages": software.packages,
        "software_roles": [use.name for use in software.roles],
        "image_tests": job.tests,
        "image_test_report": str(job.test_report),
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
