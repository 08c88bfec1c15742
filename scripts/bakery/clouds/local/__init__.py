"""This machine: disks baked in QEMU, and a folder that keeps them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bakery.clouds.cloud import Cloud
from bakery.clouds.local.builder import BUILDER
from bakery.clouds.read_back import ReadRequest
from bakery.clouds.target import Target
from bakery.host.errors import NotFoundError
from bakery.machine import disk_image
from bakery.machine.block_stream import BlockStream, open_raw
from bakery.model.bases import QemuBase
from bakery.model.definition import ImageDefinition
from bakery.model.project import Project


def _open_target(project: Project, _definition: ImageDefinition, _credentials: Mapping[str, str]) -> Target:
    from bakery.clouds.local.target import LocalTarget

    return LocalTarget(project.store)


@contextmanager
def _open_disk(request: ReadRequest) -> Iterator[BlockStream]:
    """The content of a stored disk. NotFoundError if the store has none of that name."""
    disk = request.store / Path(request.location.id).name  # records of release 0.1 have a path
    if not disk.is_file():
        raise NotFoundError("the store of this workspace does not have the disk", where=str(disk))
    raw = request.scratch / "disk.raw"
    disk_image.write_raw(disk, raw)
    yield open_raw(raw)


CLOUD = Cloud("local", BUILDER, _open_target, QemuBase, open_disk=_open_disk)
