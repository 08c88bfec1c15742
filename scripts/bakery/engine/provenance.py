"""The statement about a version that was just published: read its disks, describe it, sign it, keep it."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bakery.catalog import Record, actor, now
from bakery.clouds import CLOUDS
from bakery.engine.inspection import read_back_check
from bakery.engine.read_back import ImageReader
from bakery.engine.session import Session
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.machine.block_list import FILE, BlockList
from bakery.machine.block_stream import DiskDigest, digest_disk
from bakery.model.baked import Baked
from bakery.model.documents import Artifact, Publication, RemoteBuild, Verdict
from bakery.model.naming import full_name
from bakery.provenance import HeldImage, Run, describe_provenance
from bakery.signing import Statement

LOCAL_BUILDER = "urn:image-bakery:builder:local"  # of a run outside of CI, which no service vouches for


def keep_provenance(
    session: Session, version: Baked, verdicts: Sequence[Verdict | None], reserved: Record, complete: Record
) -> str:
    """Sign a statement about a complete version and keep it in the catalog; the digest of its envelope.

    `verdicts` are those on the version's parts. The statement that the version has stays while its publications do.
    Empty, with a note, if no cloud gives the bytes.
    """
    if reserved.provenance and reserved.publications == complete.publications:
        return reserved.provenance
    parts = zip(version.parts, verdicts, strict=True)
    by_target = {part.target: verdict for part, verdict in parts if isinstance(part, RemoteBuild) and verdict}
    images = [
        image
        for publication in complete.publications
        for image in _read_images(session, version, by_target, publication)
    ]
    if not images:
        session.report(Event("note", "publish", full_name(complete), "no provenance: no image can be read back"))
        return ""
    contents = session.catalog.contents(complete)
    statement = describe_provenance(complete, contents, images, _describe_run(reserved))
    lists = {image.disk.blocks.sha256: image.disk.blocks.dump() for image in images}
    envelope = session.keyring.sign(Statement.model_validate(statement), "publish")
    return session.catalog.keep_provenance(complete, envelope, lists.values())


def _describe_run(reserved: Record) -> Run:
    """The run, which began when it reserved the version."""
    return Run(os.environ.get("CI_PROJECT_URL") or LOCAL_BUILDER, actor(), reserved.at, now())


def _read_images(
    session: Session, version: Baked, verdicts: Mapping[str, Verdict], publication: Publication
) -> Iterator[HeldImage]:
    """The owned images of a publication with their disk; none if the bakery cannot read them back."""
    target, name = publication.target, full_name(version)
    owned = [location for location in publication.locations if location.owned]
    if target not in version.builds:
        assert version.artifact  # `baked.load` ensures that a target without a build of its own has a disk
        disk = _digest_artifact(session, version.artifact)
        yield from (HeldImage(target, location, name, disk) for location in owned)
    elif CLOUDS[target].open_disk:
        # Packer's copies in other locations have the same blocks: the cloud copied them.
        reader = ImageReader(version.definition, session.project, "publish", name, session.report)
        disk = reader.read(target, owned[0], lambda disk, _: digest_disk(disk))
        _refuse_unseen(version, verdicts[target], disk)
        yield from (HeldImage(target, location, f"{name}@{target}", disk) for location in owned)
    else:
        session.report(
            Event("note", "publish", name, f"the statement leaves out {target}: its images cannot be read back")
        )


def _refuse_unseen(version: Baked, verdict: Verdict, disk: DiskDigest) -> None:
    """BakeryError if a cloud holds another disk than the one that the verdict is about."""
    check = read_back_check(disk.blocks)
    if check not in verdict.checks:
        seen = next((one.detail for one in verdict.checks if one.name == check.name), "its disk was not read back")
        raise BakeryError(
            f"the disk of {full_name(version)} at its cloud is not the one that was tested",
            detail=f"tested: {seen}\nnow: {check.detail}",
            hint=f"run 'bakery bake {version.image}' again, which reads it back and tests it",
        )


def _digest_artifact(session: Session, artifact: Artifact) -> DiskDigest:
    """The digests of the disk that was sent, as its bake noted them; each target has compared what it sent."""
    folder = session.project.artifact_folder(artifact)
    return DiskDigest(artifact.disk.virtual_size, artifact.disk.raw_sha256, _read_list(artifact, folder))


def _read_list(artifact: Artifact, folder: Path) -> BlockList:
    """The list of blocks that the bake kept; BakeryError if it is not the one that the artifact names."""
    path = folder / FILE
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != artifact.disk.blocks:
        raise BakeryError(
            f"the list of the blocks of {full_name(artifact)} is missing or was changed",
            where=str(path),
            hint=f"find out who writes to that folder; remove it and run 'bakery run {artifact.image}' again",
        )
    return BlockList.parse(content, str(path))
