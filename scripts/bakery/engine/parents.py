"""The disk of a parent, from which the disks of its children are built."""

from pathlib import Path

from bakery.catalog import Record
from bakery.engine.session import Session
from bakery.host import files
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.events import Event
from bakery.machine.disk_image import BaseDisk
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Base
from bakery.model.naming import full_name
from bakery.model.project import Project


def find_parent_disk(session: Session, image: ImageDefinition, content: str) -> BaseDisk:
    """The disk of the parent's newest complete version, with the bytes that its record names.

    BakeryError unless its `content` is what the bake was planned on.
    """
    record = _newest_record(session, image)
    if not record.is_base(content):
        raise BakeryError(
            f"{record.image} {record.version} was published after {image.name} was planned",
            where=session.catalog.location,
            hint=f"run 'bakery run {image.name}' again",
        )
    others = {}
    for path in find_copies(session.project, record):
        session.report(Event("progress", "bake", image.name, f"compare the disk of {record.image} with its record"))
        digest = files.sha256_by_stamp(path)
        if digest == record.sha256:
            return BaseDisk(path, Base(record.image, record.version, record.sha256), digest)
        others[path] = digest
    hint = f"bake a new version with 'bakery run --rebuild {record.image}'"
    if not others:
        message = f"the disk of {record.image} {record.version} is not in this workspace"
        where = str(session.project.store)
        raise NotFoundError(message, where=where, hint=f"copy it from the workspace that baked it, or {hint}")
    raise BakeryError(
        f"{image.name} is not built on {record.image} {record.version}, whose disk is not the one that was published",
        where=str(next(iter(others))),
        detail="\n".join([f"record {record.sha256}", *(f"found  {digest} {path}" for path, digest in others.items())]),
        hint=f"find out who changed it, and {hint}",
    )


def find_copies(project: Project, record: Record) -> list[Path]:
    """The files of this workspace that should be the disk of a version."""
    # A CI job may run in another folder than the one of the store, and gets baked disks as artifacts.
    paths = (project.store / f"{full_name(record)}.qcow2", project.artifact_folder(record) / "disk.qcow2")
    return [path for path in paths if path.exists()]


def _newest_record(session: Session, image: ImageDefinition) -> Record:
    """The newest complete version of the parent, which has a disk."""
    parent = session.definitions.images[image.parent or ""]
    record = session.catalog.newest(parent.name, parent.arch, parent.version)
    if record is None or record.publication("local") is None:
        raise BakeryError(
            f"{image.name} is built on {parent.name}, which has no complete version at the local target",
            where=session.definitions.where(image.name, "base", "qemu", "image"),
            hint=f"run 'bakery run {parent.name}' first",
        )
    return record
