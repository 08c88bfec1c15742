"""Keeps the disk of a failed bake, with a program that boots it, for a look at what went wrong."""

import shutil
from pathlib import Path

from bakery.clouds.job import Job
from bakery.host.errors import BakeryError
from bakery.machine import disk_image, ssh
from bakery.machine.guest import write_start

FOLDER = ".kept"  # among the drafts of an image, all of which its next bake removes
DISKS = ("disk.qcow2", "disk.raw")  # of the templates for a guest and for a chroot
USER = "look"


def keep_disk(job: Job) -> str:
    """Move the disk of a failed bake out of the folder that is removed; returns the commands that boot it and log in.

    Packer has ended. Empty if it made no disk. A disk that cannot be kept does not hide why the bake failed.
    """
    output_disk = next((job.output / name for name in DISKS if (job.output / name).exists()), None)
    if output_disk is None:
        return ""
    folder = job.scratch.parent / FOLDER
    try:
        folder.mkdir(mode=0o700)
        disk = folder / output_disk.name
        if _needs_copy(output_disk, job):
            disk_image.to_qcow2(output_disk, disk)
        else:
            output_disk.rename(disk)
        if job.definition.windows:  # no login without a password that nobody knows
            return f"the disk is kept: {disk}; the next bake of {job.definition.name} removes it"
        guest = write_start(
            disk, user=USER, key=ssh.make_key(folder), folder=folder, accelerator=job.toolchain.accelerator
        )
    except (BakeryError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        return f"the disk cannot be kept: {error}"
    return (
        f"the disk is kept until the next bake of {job.definition.name}: 'sh {folder / 'start.sh'}' boots it, "
        f"then 'ssh -F {guest.ssh_config} guest' logs in"
    )


def _needs_copy(output_disk: Path, job: Job) -> bool:
    """Whether a disk is an overlay on a file that may not outlive it: the bake's copy of a layer, or a saved boot."""
    if output_disk.suffix != ".qcow2":
        return False
    assert job.base
    backing = disk_image.inspect(output_disk).get("full-backing-filename")
    return backing not in (None, str(job.base.path))
