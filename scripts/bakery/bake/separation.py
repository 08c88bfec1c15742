"""Keeps code of an image and of its roles apart from the machine that bakes."""

import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.machine import network

ENCLOSE = Path(network.__file__).with_name("enclose.sh")


def separate_ansible(job: Job) -> Path:
    """The program that Packer starts as ansible-playbook.

    In a build at a target, Packer is not apart from this machine, and holds the login to the cloud. Ansible therefore
    sees no process but its own there, if this machine allows namespaces.
    """
    playbook = job.toolchain.ansible_playbook
    if job.base is not None:
        return playbook
    if obstacle := _find_obstacle():
        job.progress(f"roles can read the logins of this machine's processes: {obstacle}")
        return playbook
    wrapper = job.scratch / playbook.name
    files.write_atomic(
        wrapper, f'#!/bin/sh\nexec sh {shlex.quote(str(ENCLOSE))} {shlex.quote(str(playbook))} "$@"\n'.encode()
    )
    wrapper.chmod(0o700)
    return wrapper


@cache
def _find_obstacle() -> str:
    """The reason why this machine cannot show a program its own processes alone; empty if it can."""
    return network.find_failure(["sh", ENCLOSE, "true"])


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
