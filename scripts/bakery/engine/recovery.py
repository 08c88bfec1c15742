"""Gets the disk of a published version again, to publish it at a target that never had it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bakery.catalog import Record
from bakery.clouds.target import gone_error
from bakery.engine.read_back import ImageReader
from bakery.engine.session import Session
from bakery.host import files
from bakery.host.errors import BakeryError, describe_error
from bakery.machine.block_stream import BlockStream, describe_image, digest_disk, write_raw
from bakery.machine.disk_image import to_qcow2
from bakery.model import baked
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, ImageLocation, Publication
from bakery.model.naming import full_name

UseDisk = Callable[[Artifact, Path], Publication]


def publish_recovered(session: Session, definition: ImageDefinition, record: Record, publish: UseDisk) -> Publication:
    """The publication that `publish` makes of a version's disk: of the workspace, or read back from one of its images.

    Only bytes with the digest of the record are used. NotFoundError, with the reasons, if no image gives them.
    """
    disk = session.project.artifact_folder(record) / "disk.qcow2"
    artifact = baked.find_artifact(session.project, definition, record.version)
    if artifact and artifact.disk.sha256 == record.sha256 and disk.is_file() and files.sha256(disk) == record.sha256:
        return publish(artifact, disk)
    reader = ImageReader(definition, session.project, "publish", full_name(record), session.report)
    failures = []
    with files.scratch(session.project.cache, "recovered") as folder:
        for target, location in _list_images(record):
            try:
                artifact = reader.read(target, location, lambda held, _: _write_disk(record, held, folder))
            except BakeryError as error:
                failures.append(f"{target} {location.id}: {describe_error(error)}")
                continue
            return publish(artifact, Path(artifact.disk.path))
    gone = gone_error(f"no image gives the disk of {full_name(record)} back", session.catalog.location, record.image)
    gone.detail = "\n".join(failures)
    raise gone


def _list_images(record: Record) -> Iterator[tuple[str, ImageLocation]]:
    """The own images that were made of the version's disk, the nearest first."""
    publications = sorted(record.publications, key=lambda publication: publication.target != "local")
    for publication in publications if record.sha256 and record.base else ():
        if publication.sha256 == record.sha256:
            yield from ((publication.target, location) for location in publication.locations if location.owned)


def _write_disk(record: Record, disk: BlockStream, folder: Path) -> Artifact:
    """Write the disk into a folder; its document, as the bake wrote it."""
    raw, image = folder / "disk.raw", folder / "disk.qcow2"
    digest = digest_disk(write_raw(replace(disk, size=record.size or disk.size), raw))  # clouds round sizes up
    if digest.sha256 != record.raw_sha256:
        raise BakeryError(f"its disk has the digest {digest.sha256}, expected {record.raw_sha256}")
    to_qcow2(raw, image)
    assert record.base  # `_list_images` gives no image otherwise
    return Artifact(
        image=record.image,
        arch=record.arch,
        version=record.version,
        os=record.os,
        mode=record.mode,
        input_key=record.input_key,
        inputs=record.inputs,
        base=record.base,
        disk=describe_image(image, record.sha256, digest),
        commit=record.commit,
        tools=record.tools,
        seconds={},
        created=record.baked,
        log="",
    )
