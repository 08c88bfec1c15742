"""The line: plan -> bake -> verify -> publish -> catalog.

Each step leaves its document in the artifact's folder, so a rerun goes on from where the last one stopped.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import cast

from bakery.bake import bake, remote
from bakery.catalog import Record
from bakery.clouds.target import RemoteTarget, Target
from bakery.engine import channels, toolbox
from bakery.engine.checks import check
from bakery.engine.plan import Action
from bakery.engine.publish import publish, target
from bakery.engine.session import Session
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.host.vault import Vault, read_secrets
from bakery.layers.base import BaseDisk, prepare
from bakery.model import baked, documents
from bakery.model.baked import Baked
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Publication, RemoteBuild, Verdict
from bakery.verify import verify


def bake_image(session: Session, action: Action, builders: Sequence[str] = ()) -> Baked:
    """Bake what a plan asks for, or take up what an interrupted run already baked from the same inputs.

    `builders` limits it to some of those that the definition needs.
    """
    image = session.definitions.images[action.image]
    if action.kind == "wait":
        raise BakeryError(f"{image.name} cannot be baked yet: {action.reason}", hint=f"run 'bakery run {image.name}'")
    check(session, image)
    reserved = session.catalog.reserve(image.name, image.arch, action.line, action.input_key, action.inputs)
    work = _Work(session, image, reserved.version, action)
    wanted = [name for name in image.builders if not builders or name in builders]
    artifact = work.disk() if "qemu" in wanted else None
    return Baked(image, reserved.version, artifact, {name: work.build(name) for name in wanted if name != "qemu"})


@dataclass(frozen=True)
class _Work:
    """The builds of one version; each takes up what is there already."""

    session: Session
    image: ImageDefinition
    version: str
    action: Action

    def disk(self) -> Artifact:
        found = baked.find_artifact(self.session.project, self.image, self.version)
        if self._fits(found, ""):
            assert found
            return found
        with _vault(self.image.secrets) as vault:
            return bake(
                self.session.project,
                self.image,
                self.version,
                self.action.inputs,
                self.action.input_key,
                _base(self.session, self.image),
                toolbox.toolchain(self.session.project),
                vault,
                self.session.report,
            )

    def build(self, target: str) -> RemoteBuild:
        found = baked.find_build(self.session.project, self.image, self.version, target)
        if self._fits(found, f" at {target}"):
            assert found
            return found
        with _vault(self.image.secrets, self.image.distribution.credentials(target)) as vault:
            credentials = _credentials(vault, self.image, target)
            place = cast(RemoteTarget, _target(self.session, self.image, target, credentials))
            place.prepare(Baked(self.image, self.version, None, {}))
            return remote.build(
                self.session.project,
                self.image,
                target,
                self.version,
                self.action.inputs,
                self.action.input_key,
                self.session.parent_image(self.image, target),
                toolbox.toolchain(self.session.project),
                credentials,
                vault,
                self.session.report,
            )

    def _fits(self, found: Artifact | RemoteBuild | None, where: str) -> bool:
        """Whether an interrupted run left it, made from these inputs."""
        if found is None or found.input_key != self.action.input_key:
            return False
        subject = f"{self.image.name} {self.version}"
        self.session.report(Event("note", "bake", subject, f"baked before from the same inputs{where}"))
        return True


def verified(session: Session, artifact: Artifact) -> bool:
    """Whether an interrupted run already passed this very disk."""
    verdict = documents.find(Verdict, _folder(session, artifact) / "verdict.json")
    return verdict is not None and verdict.passed and verdict.sha256 == artifact.disk.sha256


def verify_image(session: Session, artifact: Artifact) -> Verdict:
    """Test an artifact and keep the verdict; BakeryError with the failing checks if it does not pass."""
    image, folder = session.definitions.images[artifact.image], _folder(session, artifact)
    with _vault(image.secrets) as vault:
        found = (
            read_secrets(vault, image.secrets, partial(session.definitions.where, image.name, "secrets"))
            if vault
            else {}
        )
        verdict = verify(session.project, image, artifact, folder / "disk.qcow2", found.values(), session.report)
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


def publish_image(session: Session, whole: Baked, channel: str = "") -> Record:
    """Publish a verified version, complete its record, and let its channel follow, or the one that is given."""
    image, project = whole.definition, session.project
    verdict = documents.find(Verdict, whole.folder(project, "local") / "verdict.json")
    _usable_record(session, whole)  # before anything is published
    with targets(session, image) as destinations:
        publications = publish(project, whole, verdict, destinations, session.report)
        record = _usable_record(session, whole)
        complete = _complete(record, whole, verdict, tuple(publications))
        if complete != record:
            record = session.catalog.revise(complete, "published")
        if channel := channel or image.channel or "":
            channels.promote(session.catalog, record, channel, "published", destinations, session.report)
    return record


@contextmanager
def targets(session: Session, image: ImageDefinition) -> Iterator[dict[str, Target]]:
    """Every target of an image by name, logged in to: what Vault lent for that ends with the block."""
    with _vault(*map(image.distribution.credentials, image.targets)) as vault:
        yield {name: _target(session, image, name, _credentials(vault, image, name)) for name in image.targets}


def _usable_record(session: Session, whole: Baked) -> Record:
    """The version's record, unless that was revoked: it must not become complete again."""
    record = session.catalog.record(whole.image, whole.arch, whole.version)
    if record.state == "revoked":
        raise BakeryError(
            f"{whole.image} {whole.version} was revoked: {record.reason}", hint=f"run 'bakery run {whole.image}'"
        )
    return record


def _complete(record: Record, whole: Baked, verdict: Verdict | None, publications: tuple[Publication, ...]) -> Record:
    disk, first = whole.artifact, whole.parts[0]
    checks = [*(verdict.checks if verdict else ()), *chain(*(build.checks for build in whole.builds.values()))]
    return replace(
        record,
        state="complete",
        mode=whole.definition.mode,
        os=first.os,
        sha256=disk.disk.sha256 if disk else _first_identity(whole),
        raw_sha256=disk.disk.raw_sha256 if disk else _first_identity(whole),
        base=disk.base if disk else None,
        baked=first.created,
        commit=first.commit,
        tools=first.tools,
        tags=whole.definition.tags,
        publications=publications,
        checks=len(checks),
    )


def _first_identity(whole: Baked) -> str:
    """What stands for the content of a version that has no disk here."""
    return next(iter(whole.builds.values())).identity


def _folder(session: Session, artifact: Artifact) -> Path:
    return session.project.artifact_folder(artifact.image, artifact.arch, artifact.version)


def _base(session: Session, image: ImageDefinition) -> BaseDisk:
    if image.parent:
        record, disk = session.parent_disk(image)
        return BaseDisk(disk, Base(record.image, record.version, record.sha256))
    assert image.base.qemu
    recipe = session.project.root / "packer" / "base" / "debian"
    return prepare(image.base.qemu, session.project.cache, recipe, session.report)


def _target(session: Session, image: ImageDefinition, name: str, credentials: dict[str, str]) -> Target:
    return target(name, session.project, image, credentials)


@contextmanager
def _vault(*needed: object) -> Iterator[Vault | None]:
    """A session with Vault if anything is needed from there; nobody else has to have a Vault."""
    if not any(needed):
        yield None
        return
    with Vault.login(os.environ) as vault:
        yield vault


def _credentials(vault: Vault | None, image: ImageDefinition, target: str) -> dict[str, str]:
    """The fields of a target's secret; none where it has none, and its tools look into the environment."""
    path = image.distribution.credentials(target)
    return vault.fields(path) if vault and path else {}
