"""The space that a bake takes on the disk of this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC

from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.errors import BakeryError, DiskError
from bakery.host.files import MAKE_ROOM
from bakery.host.process import ProcessError

# Bytes beside three copies of the base: a measured bake added 180 MB before it was sealed.
HEADROOM = 1 << 30
FULL = 16 << 20  # bytes free; QEMU and qemu-img stop at the first block that does not fit
NO_SPACE = (os.strerror(ENOSPC), os.strerror(EDQUOT))


class FullDiskError(DiskError):
    """The disk of this machine filled up during a bake."""


def needed_space(base_size: int) -> int:
    """The free bytes that a bake needs on a base that takes `base_size` bytes."""
    return 3 * base_size + HEADROOM


def require_space(job: Job) -> None:
    """DiskError if a bake on a disk of this machine would not fit."""
    assert job.base
    needed = needed_space(files.find_used_space(job.base.path))
    files.require_space(job.scratch, needed, f"the bake of {job.definition.name}")


@contextmanager
def explain_full_disk(job: Job) -> Iterator[None]:
    """Raise a FullDiskError in place of an error of the block if a full disk is its cause.

    A program that fails removes its half of a disk, and there is space again: so its message counts as well.
    """
    try:
        yield
    except FullDiskError:  # its hint may name more by now
        raise
    except BakeryError as error:
        full = find_full_disk(job, was_full=_says_full(error))
        if full is None:
            raise
        full.log = error.log
        raise full from error


def find_full_disk(job: Job, *, was_full: bool = False) -> FullDiskError | None:
    """The error for a disk that has no space left, or that `was_full` when a program failed; None if there is some."""
    free = files.find_free_space(job.scratch)
    if free > FULL and not was_full:
        return None
    where = str(job.scratch.parent)
    return FullDiskError("the disk filled up during the bake", where=where, detail=describe_need(job), hint=MAKE_ROOM)


def describe_need(job: Job) -> str:
    """The free space, and what a bake on a disk of this machine needs."""
    free = files.find_free_space(job.scratch) >> 20
    if job.base is None:
        return f"{free} MiB are free"
    needed = needed_space(files.find_used_space(job.base.path)) >> 20
    return f"{free} MiB are free, and the bake of {job.definition.name} needs {needed} MiB"


def _says_full(error: BakeryError) -> bool:
    return isinstance(error, ProcessError) and any(text in error.tail for text in NO_SPACE)
