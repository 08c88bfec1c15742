"""The input of Packer and Ansible: variables from the definition, secrets through the environment."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bakery.bake.bake_files import takes_templates
from bakery.clouds.job import Job
from bakery.host.errors import BakeryError, raise_all
from bakery.host.vault import Vault
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Mode
from bakery.model.naming import full_name
from bakery.model.tags import identity
from bakery.model.version import ImageVersion

# The work after which a layer is kept, so the most that a bake does again. To keep one takes a second or two.
LAYER_SECONDS: Mapping[Mode, int] = {"chroot": 3, "vm": 10}
LONGEST_VARIABLE = (128 << 10) - 1  # bytes of NAME=VALUE: Linux, execve(2), MAX_ARG_STRLEN with the final NUL


def common_variables(job: Job, ansible_playbook: Path, ansible_vars: Path) -> dict[str, Any]:
    """The variables of every template; packer/templates/common.pkr.hcl describes each."""
    of = ImageVersion(job.definition.name, job.definition.arch, job.version)
    return {
        "image": job.definition.name,
        "version": job.version,
        "artifact_name": full_name(of),
        "description": job.definition.description,
        "tags": {**job.definition.tags, **identity(of)},
        "manifest": str(job.manifest),
        "ansible_playbook": str(ansible_playbook),
        "ansible_folder": str(job.project.resources.playbooks),
        "ansible_vars": str(ansible_vars),
    }


def ansible_variables(job: Job) -> bytes:
    """The definition's software for ansible/playbooks/bake.yml, as JSON.

    Text is data: Ansible evaluates no template in it, except in variables of a role that declares `templates: true`.
    """
    software = job.definition.software
    values: dict[str, Any] = {}
    for use in software.roles:
        templates = takes_templates(job.project.resources.role(use.name))
        values |= dict(use.vars) if templates else {name: _mark_as_data(value) for name, value in use.vars.items()}
    own = {
        "bakery_image": job.definition.name,
        "bakery_version": job.version,
        "bakery_os_family": job.definition.family or "",
        "software_updates": job.definition.updates,
        "software_lock": _lock_variables(job),
        "software_packages": software.packages,
        "software_roles": [use.name for use in software.roles],
        "software_start": {"roles": job.start.roles, "upgraded": job.start.upgraded} if job.start else {},
        "software_layers": {
            "cuts": {str(roles): key for roles, key in job.cuts.items()},
            "seconds": LAYER_SECONDS[job.definition.mode],
            "folder": str(job.drafts if job.definition.mode == "chroot" else job.layer_requests),
        },
        "image_tests": job.tests,
        "image_test_report": str(job.test_report),
        "archives_report": str(job.archives_report),
        "seal_keep_passwords": job.definition.keeps_passwords,
        "seal_at_target": job.base is None,
        "root_archive": "" if job.base else str(job.root_archive),
    }
    return json.dumps(values | _mark_as_data(own), indent=2).encode()


def _mark_as_data(value: Any) -> Any:
    """A value with each text in the form that keeps Ansible from evaluating it (AnsibleJSONDecoder)."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, Mapping):
        return {name: _mark_as_data(part) for name, part in value.items()}
    return [_mark_as_data(part) for part in value] if isinstance(value, list | tuple) else value


def _lock_variables(job: Job) -> dict[str, Any]:
    """The lock for ansible/playbooks/lock/; empty without one."""
    if job.lock is None:
        return {}
    return {
        "archives": job.lock.dated,
        "archive_tasks": str(job.project.resources.playbooks / "lock" / "archives.yml"),
        "preferences": job.lock.preferences,
        "cache_port": job.cache_port,
        "offline": job.definition.package_versions == "offline",
    }


def check_secrets(definition: ImageDefinition, secrets: Mapping[str, str], where: str) -> None:
    """Raise BakeryError if a value would not reach a role as it is. No part of a value is shown."""
    raise_all(
        [
            BakeryError(f"the value of the secret {name} {reason}", where=where, hint=hint)
            for name, value in secrets.items()
            for reason, hint in list_value_faults(value, definition.mode)
        ]
    )
    check_size(definition, secrets, where)


def check_size(definition: ImageDefinition, secrets: Mapping[str, str], where: str) -> None:
    """Raise BakeryError if the values of some secrets of a definition are too long together."""
    for name, text in _secret_variables(definition, secrets).items():
        if len(f"{name}={text}".encode()) > LONGEST_VARIABLE:
            raise BakeryError(
                f"the secrets of {definition.name} are longer than 128 KiB, more than a program's environment holds",
                where=where,
                hint="store what is not secret in the role",
            )


def list_value_faults(value: str, mode: Mode) -> Iterator[tuple[str, str]]:
    """Each reason why a secret would not reach a role of a bake in `mode` as it is, and a hint."""
    encode = "store it in base64, and decode it in the role"
    if "\0" in value:
        yield "has a NUL character, which no environment variable can have", encode
    if any("\ud800" <= character <= "\udfff" for character in value):
        yield "has half of a surrogate pair, which is not text", encode
    # Packer evaluates the variables of its ansible provisioner and the password of a builder until nothing changes.
    if mode == "vm" and "{{" in value:
        yield "has two opening braces in a row, which Packer would evaluate", f"change the value; or {encode}"


def _secret_variables(definition: ImageDefinition, secrets: Mapping[str, str]) -> dict[str, str]:
    values = {name.upper(): value for name, value in secrets.items()}
    return values if definition.mode == "chroot" else {"PKR_VAR_secret_values": json.dumps(values)}


def secret_environment(job: Job, vault: Vault | None, secrets: Mapping[str, str]) -> dict[str, str]:
    """The secrets in Packer's environment, and for a user's own template also the token, with which it may ask Vault.

    In chroot mode Ansible inherits them, since Packer's shell-local would write variables on a command line.
    """
    if vault is None or not secrets:
        return {}
    own_template = vault.environment() if job.definition.template and job.definition.mode == "vm" else {}
    return {**_secret_variables(job.definition, secrets), **own_template}
