"""Keeps code of an image and of its roles apart from the machine that bakes."""

import os
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from bakery.bake.bake_files import list_files
from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.machine import network

ENCLOSE = Path(network.__file__).with_name("enclose.sh")
AS_NOBODY = Path(network.__file__).with_name("as_nobody.sh")
# Starts Ansible and opens every file that it will read.
PROBE = '"$1" --version >/dev/null && shift && head -qc0 -- "$@"'


def separate_ansible(job: Job) -> Path:
    """The program that Packer starts as ansible-playbook.

    If this machine allows namespaces, Ansible sees no process but its own, and so not Packer with the login to a cloud.
    It also runs as another user if root bakes. Ansible that works in a chroot of this machine needs root, and is in the
    namespaces of Packer; a user's own template may run it in ways of its own.
    """
    playbook = job.toolchain.ansible_playbook
    if job.base is not None and (job.definition.mode == "chroot" or job.definition.template):
        return playbook
    if obstacle := _find_obstacle():
        job.progress(f"roles can read the logins of this machine's processes: {obstacle}")
        return playbook
    command: list[str | Path] = ["sh", ENCLOSE]
    if os.geteuid() == 0 and not job.definition.template:
        nobody: list[str | Path] = ["sh", AS_NOBODY, job.project.workspace, job.ansible_files]
        if obstacle := _find_user_obstacle(job, [*command, *nobody]):
            job.progress(f"roles run as root of this machine: {obstacle}")
        else:
            command += nobody
    wrapper = job.scratch / playbook.name
    files.write_atomic(wrapper, f'#!/bin/sh\nexec {shlex.join(map(str, [*command, playbook]))} "$@"\n'.encode())
    wrapper.chmod(0o700)
    return wrapper


@cache
def _find_obstacle() -> str:
    """The reason why this machine cannot show a program its own processes alone; empty if it can."""
    return network.find_failure(["sh", ENCLOSE, "true"])


def _find_user_obstacle(job: Job, command: list[str | Path]) -> str:
    """The reason why Ansible cannot run behind the command; empty if it can."""
    probe = [*command, "sh", "-c", PROBE, "sh", job.toolchain.ansible_playbook, *_list_sources(job)]
    with files.scratch(job.scratch, "probe") as folder:
        return network.find_failure(probe, {"TMPDIR": str(folder)})


def _list_sources(job: Job) -> Iterator[Path]:
    """The files of the project that Ansible reads: playbooks, roles, and tests of the image."""
    resources = job.project.resources
    for folder in (resources.playbooks, *(resources.role(use.name) for use in job.definition.software.roles)):
        yield from list_files(folder)
    yield from map(Path, job.tests)


def separate_network(job: Job, env: Mapping[str, str]) -> list[str | Path]:
    """The words before Packer that keep code in the image from every service of this machine.

    `env` is Packer's environment: a user's own template may ask a Vault on loopback. Empty for a build at a target, and
    where this machine allows no namespaces. BakeryError if a metadata service answers such a machine: the image's code
    could ask it for the rights that the machine has in its cloud.
    """
    if job.base is None:
        return []
    obstacle = network.find_obstacle()
    if not obstacle:
        needed = {job.cache_port, network.loopback_port(env.get("VAULT_ADDR", ""), "VAULT_ADDR")} - {0}
        return network.isolate(network.allowed_ports() | needed)
    if address := network.find_metadata_service():
        raise BakeryError(
            f"a bake here could get the rights of this machine from the metadata service {address}",
            detail=f"this machine allows no network for the bake alone: {obstacle}",
            hint=network.DOCS,
        )
    job.progress(f"the bake shares the network of this machine: {obstacle}")
    return []
