"""Lets the guest of a bake go on from a saved boot of its base or layer; boots it if that fails.

Without acceleration a boot takes 45 s and more, and a guest that goes on answers after 3 to 10 s. With acceleration a
boot takes seconds.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bakery.bake import packer
from bakery.bake.separation import separate_network
from bakery.clouds.job import Job
from bakery.clouds.local.builder import SSH_TIMEOUT
from bakery.host import process
from bakery.host.errors import DiskError
from bakery.host.events import Event
from bakery.layers import saved_boots
from bakery.layers.saved_boots import StartDisk
from bakery.machine.guest import GuestError
from bakery.machine.saved_boot import Boot, SavedBoot
from bakery.machine.timeout import ssh_timeout, to_seconds
from bakery.model.resources import Resources


def build(job: Job, env: Mapping[str, str], secrets: Iterable[str]) -> dict[str, float]:
    """`packer.build`, from a saved boot if there can be one."""
    boot = _find_boot(job)
    if boot:
        try:
            return packer.build(replace(job, boot=boot), env, secrets)
        except GuestError as error:
            saved_boots.remove_boot(boot, job.project.cache, _start_disk(job).name, job.report)
            text = f"the guest boots, since its saved boot failed: {error.message}"
            job.report(Event("note", "bake", job.subject, text))
            _empty_scratch(job)
    return packer.build(job, env, secrets)


def _find_boot(job: Job) -> SavedBoot | None:
    if not can_restore(job):
        return None
    accelerator = job.toolchain.accelerator
    seconds = to_seconds(ssh_timeout(SSH_TIMEOUT[accelerator]))
    boot = Boot(job.template / "qemu.sh", accelerator, seconds, job.console)
    network = separate_network(job, {})
    try:
        return saved_boots.find_or_save(_start_disk(job), boot, job.project.cache, job.scratch, network, job.report)
    except DiskError as error:
        job.report(Event("note", "bake", job.subject, f"the guest boots without a saved boot: {error.message}"))
        return None


def _start_disk(job: Job) -> StartDisk:
    assert job.base
    return StartDisk(job.base.base.name, job.start_disk, job.start.sha256 if job.start else job.base.sha256)


def can_restore(job: Job) -> bool:
    """Whether the machine is the shipped one for Linux, emulated, and the programs for it are there."""
    shipped = Resources(job.project.shipped, job.project.shipped).template("qemu")
    return (
        job.builder == "qemu"
        and job.template == shipped
        and not job.definition.windows
        and job.toolchain.accelerator == "tcg"
        and process.which("zstd") is not None
        and process.which("xorriso") is not None
    )


def _empty_scratch(job: Job) -> None:
    """Remove what a failed build left, for the next one."""
    for path in job.scratch.iterdir():
        if path == job.start_disk:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
