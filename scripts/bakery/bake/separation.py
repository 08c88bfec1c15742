"""Keeps a bake on this machine apart from the rest of it."""

from collections.abc import Mapping
from pathlib import Path

from bakery.clouds.job import Job
from bakery.host.errors import BakeryError
from bakery.machine import network


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
