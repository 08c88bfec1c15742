"""The line: plan -> bake -> verify -> publish -> catalog.

Each step leaves its document in the artifact's folder, so a rerun goes on from where the last one stopped.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bakery import documents
from bakery.bake import bake
from bakery.bake.base import BaseDisk, prepare
from bakery.catalog import Record
from bakery.cli import toolbox
from bakery.cli.session import Session
from bakery.cli.validate import check
from bakery.definition import ImageDefinition
from bakery.documents import Artifact, Base, Publication, Verdict
from bakery.errors import BakeryError, NotFoundError
from bakery.events import Event
from bakery.plan import Action
from bakery.publish import channels, publish, target
from bakery.publish.target import Target
from bakery.vault import Vault, read_secrets
from bakery.verify import verify


def bake_image(session: Session, action: Action) -> tuple[Artifact, Path]:
    """Bake what a plan asks for, or take up what an interrupted run already baked from the same inputs."""
    image = session.definitions.images[action.image]
    if action.kind == "wait":
        raise BakeryError(f"{image.name} cannot be baked yet: {action.reason}", hint=f"run 'bakery run {image.name}'")
    check(session, image)
    reserved = session.catalog.reserve(image.name, image.arch, action.line, action.input_key, action.inputs)
    folder = session.project.artifact_folder(image.name, image.arch, reserved.version)
    baked = _baked(folder, action.input_key)
    if baked:
        session.tell(Event("note", "bake", f"{image.name} {baked.version}", "baked before from the same inputs"))
        return baked, folder
    with _vault(image) as vault:
        artifact = bake(
            session.project,
            image,
            reserved.version,
            action.inputs,
            action.input_key,
            _base(session, image),
            toolbox.toolchain(session.project),
            vault,
            session.tell,
        )
    return artifact, folder


def verified(artifact: Artifact, folder: Path) -> bool:
    """Whether an interrupted run already passed this very disk."""
    try:
        verdict = documents.load(Verdict, folder / "verdict.json")
    except NotFoundError:
        return False
    return verdict.passed and verdict.sha256 == artifact.disk.sha256


def verify_image(session: Session, artifact: Artifact, folder: Path) -> Verdict:
    """Test an artifact and keep the verdict; BakeryError with the failing checks if it does not pass."""
    image = session.definitions.images[artifact.image]
    with _vault(image) as vault:
        found = (
            read_secrets(vault, image.secrets, partial(session.definitions.where, image.name, "secrets"))
            if vault
            else {}
        )
        verdict = verify(session.project, image, artifact, folder / "disk.qcow2", found.values(), session.tell)
    documents.save(verdict, folder / "verdict.json")
    failing = [seen for seen in verdict.checks if not seen.passed]
    if failing:
        raise BakeryError(
            f"{image.name} {artifact.version} failed {len(failing)} of {len(verdict.checks)} checks",
            where=str(folder / "verdict.json"),
            detail="\n".join(f"{seen.name}: {seen.detail}" for seen in failing),
            hint=f"mend it and run 'bakery run {image.name}' again; nothing was published",
        )
    return verdict


def publish_image(session: Session, artifact: Artifact, folder: Path, channel: str = "") -> Record:
    """Publish a verified artifact, complete its record, and let its channel follow, or the one that is given."""
    image = session.definitions.images[artifact.image]
    verdict = documents.load(Verdict, folder / "verdict.json")
    publications = publish(session.project, image, artifact, verdict, session.tell)
    record = session.catalog.record(image.name, image.arch, artifact.version)
    complete = _complete(record, image, artifact, verdict, tuple(publications))
    if complete != record:
        record = session.catalog.revise(complete, "published")
    if channel := channel or image.channel or "":
        channels.promote(session.catalog, record, channel, "published", targets(session, image), session.tell)
    return record


def targets(session: Session, image: ImageDefinition) -> dict[str, Target]:
    """Every target of an image by name."""
    return {name: target(name, session.project, image) for name in image.targets}


def _complete(
    record: Record, image: ImageDefinition, artifact: Artifact, verdict: Verdict, publications: tuple[Publication, ...]
) -> Record:
    return replace(
        record,
        state="complete",
        mode=artifact.mode,
        os=artifact.os,
        sha256=artifact.disk.sha256,
        raw_sha256=artifact.disk.raw_sha256,
        base=artifact.base,
        baked=artifact.created,
        commit=artifact.commit,
        tools=artifact.tools,
        tags=image.tags,
        publications=publications,
        checks=len(verdict.checks),
    )


def _base(session: Session, image: ImageDefinition) -> BaseDisk:
    if image.parent:
        record, disk = session.parent_disk(image)
        return BaseDisk(disk, Base(record.image, record.version, record.sha256))
    assert image.base.qemu
    recipe = session.project.root / "packer" / "base" / "debian"
    return prepare(image.base.qemu, session.project.cache, recipe, session.tell)


def _baked(folder: Path, input_key: str) -> Artifact | None:
    """What an interrupted run left for this version; None if nothing, or if it was made from other inputs."""
    try:
        artifact = documents.load(Artifact, folder / "artifact.json")
    except NotFoundError:
        return None
    return artifact if artifact.input_key == input_key else None


@contextmanager
def _vault(image: ImageDefinition) -> Iterator[Vault | None]:
    """A session with Vault for an image that has secrets; no other image needs a Vault."""
    if not image.secrets:
        yield None
        return
    with Vault.login(os.environ) as vault:
        yield vault
