"""Publishes a verified disk at every target of its definition."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

from bakery.clouds.target import EarlierDisk, IncrementalTarget, RemoteTarget, Target
from bakery.host import files
from bakery.host.errors import BakeryError, NotFoundError, PartialError, join_errors
from bakery.host.events import Reporter
from bakery.host.parallel import run_parallel
from bakery.model import documents
from bakery.model.baked import Baked
from bakery.model.documents import Artifact, Publication
from bakery.model.naming import full_name
from bakery.model.project import Project
from bakery.model.version import Versioned


def publish(
    project: Project,
    baked: Baked,
    targets: Mapping[str, Target],
    report: Reporter,
    earlier_disks: Mapping[str, EarlierDisk] = MappingProxyType({}),
) -> list[Publication]:
    """Publish to all targets, even if some fail; PartialError if only some succeed.

    `bakery.engine.evidence` has checked that it may be published. Each publication is saved as soon as it is done, so a
    rerun continues from there. `earlier_disks` are those that a target has, by its name.
    """

    def publish_there(name: str, destination: Target) -> Publication:
        publication = _publish_target(project, baked, name, destination, report, earlier_disks.get(name))
        return _save_publication(publication, baked.folder(project, name))

    with lock_version(project, baked):
        if baked.artifact:
            _refuse_other_disk(baked.artifact, baked.folder(project, "local") / "disk.qcow2")
        return publish_everywhere(targets, publish_there)


def lock_version(project: Project, of: Versioned) -> AbstractContextManager[None]:
    """Keep other runs of this workspace from publishing a version meanwhile; BusyError if one does."""
    lock = project.workspace / "locks" / f"publish-{full_name(of)}.lock"
    return files.exclusive(lock, f"{full_name(of)} is being published by another run")


def publish_everywhere(
    targets: Mapping[str, Target], publish_there: Callable[[str, Target], Publication]
) -> list[Publication]:
    """Do the work at all targets at once, even if some fail; PartialError if only some succeed."""
    outcomes = run_parallel(list(targets), lambda name: publish_there(name, targets[name]), len(targets))
    failures = {outcome.name: outcome.error for outcome in outcomes if outcome.error}
    publications = [outcome.result for outcome in outcomes if outcome.result]
    _raise_failures(failures, [publication.target for publication in publications])
    return publications


def _publish_target(
    project: Project,
    baked: Baked,
    name: str,
    destination: Target,
    report: Reporter,
    earlier: EarlierDisk | None,
) -> Publication:
    """Adopt the image that Packer built at the target; without one, publish the disk there."""
    if name in baked.builds:
        return cast(RemoteTarget, destination).adopt(baked.builds[name], report)
    assert baked.artifact  # `baked.load` ensures that a target without a build of its own has a disk
    disk = baked.folder(project, name) / "disk.qcow2"
    if earlier:
        return cast(IncrementalTarget, destination).publish(baked.artifact, disk, report, earlier)
    return destination.publish(baked.artifact, disk, report)


def _refuse_other_disk(artifact: Artifact, disk: Path) -> None:
    """Check that the disk is the one that passed its tests, before any target takes it."""
    try:
        digest = files.sha256_by_stamp(disk)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"the disk of {full_name(artifact)} is missing",
            where=str(disk),
            hint=f"run 'bakery run {artifact.image}' to bake it again",
        ) from error
    if digest != artifact.disk.sha256:
        raise BakeryError(
            f"the disk of {full_name(artifact)} changed after it was tested",
            where=str(disk),
            detail=f"tested {artifact.disk.sha256}\nnow    {digest}",
            hint=f"remove {disk.parent} and run 'bakery run {artifact.image}' again",
        )


def _save_publication(publication: Publication, folder: Path) -> Publication:
    """Save a publication, unless an equal one is there: that one has the seconds of the run that did the work."""
    path = folder / f"publication-{publication.target}.json"
    before = documents.find_valid(Publication, path)
    if before and replace(before, seconds=publication.seconds) == publication:
        return before
    documents.save(publication, path)
    return publication


def _raise_failures(failures: dict[str, BakeryError], done: list[str]) -> None:
    """One error for all failures; the error itself if it is alone."""
    if not failures:
        return
    if len(failures) == 1 and not done:
        raise next(iter(failures.values()))
    raise join_errors(
        failures.items(),
        f"publishing failed at {', '.join(failures)}" + (f", succeeded at {', '.join(done)}" if done else ""),
        "run 'bakery publish' again: finished targets are kept, and only the rest is done",
        PartialError if done else BakeryError,
    )
