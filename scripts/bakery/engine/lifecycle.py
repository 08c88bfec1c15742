"""Brings a version to another state, and its images at all targets with it.

The record has the state first, as pending, then the images follow. A run that is killed leaves a pending record, and
the next verb for that state brings the images there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from bakery.catalog import Record
from bakery.catalog.catalog import require_change
from bakery.catalog.record import AVAILABILITY, State
from bakery.clouds.target import Target, gone_error
from bakery.engine import distribution
from bakery.engine.notices import announce_state
from bakery.engine.pointers import Targets
from bakery.engine.publish import lock_version
from bakery.engine.restored import name_policy
from bakery.engine.session import Session
from bakery.engine.targets import open_targets
from bakery.host.errors import ConflictError, UsageError
from bakery.host.events import Event
from bakery.host.parallel import Outcome, raise_failures, run_parallel
from bakery.model.version import ImageVersion, Versioned

Result = TypeVar("Result")


@contextmanager
def open_image_targets(session: Session, image: str) -> Iterator[Mapping[str, Target]]:
    """The targets of an image by name, logged in to; none, with a note, if its definition is gone."""
    definition = session.definitions.images.get(image)
    if definition is None:
        session.report(Event("note", "catalog", image, "has no definition: its images stay as they are"))
        yield {}
        return
    with open_targets(session, definition) as targets:
        yield targets


def work_by_image(
    session: Session,
    versions: Sequence[Versioned],
    begin: Callable[[str, str, Targets], Callable[[ImageVersion], Result]],
) -> list[Outcome[Result]]:
    """Work on versions one after another, after one login for each image; their outcomes.

    `begin` gets name, architecture and targets of an image, and returns the work on one of its versions. A failed
    login, or beginning, is the outcome of all versions of the image.
    """
    by_image: dict[str, dict[str, ImageVersion]] = {}
    for version in map(ImageVersion.of, versions):
        named = by_image.setdefault(f"{version.image} {version.arch}", {})
        named[f"{version.image} {version.version}"] = version

    def work_on_image(name: str) -> list[Outcome[Result]]:
        by_name = by_image[name]
        image, arch = name.split()
        with open_image_targets(session, image) as targets:
            work = begin(image, arch, targets)
            return run_parallel(list(by_name), lambda version: work(by_name[version]), jobs=1)

    outcomes: list[Outcome[Result]] = []
    for image in run_parallel(list(by_image), work_on_image, jobs=1):
        outcomes += image.result or [Outcome(version, None, image.error) for version in by_image[image.name]]
    return outcomes


def require_records(outcomes: Sequence[Outcome[Record]]) -> list[Record]:
    """The records of changed versions; one error for all that failed."""
    raise_failures(outcomes, nouns="versions")
    return [outcome.result for outcome in outcomes if outcome.result]


def change_state(
    session: Session, targets: Targets, record: Record, state: State, reason: str, owner: str = ""
) -> Record:
    """Bring a version to a state and its images with it; its record. PartialError if some targets fail."""
    return settle(session, targets, session.catalog.change_state(record, state, reason, owner))


def settle(session: Session, targets: Targets, record: Record) -> Record:
    """Bring the images of a version to what its state says, if that is pending; its record.

    It stays pending without targets: once the image has a definition again, an audit ends it.
    """
    if not record.pending or not targets:
        return record
    with lock_version(session.project, record):
        bring_images(session, targets, record)
    if record.state == "complete":
        record = _distribute(session, targets, record)
    try:
        settled = session.catalog.settle_state(record)
    except ConflictError:
        # Another run changed the state meanwhile, and may have finished before these images followed.
        bring_images(session, targets, session.catalog.record(record))
        raise
    announce_state(session, settled)
    return settled


def bring_images(session: Session, targets: Targets, record: Record) -> None:
    """Bring the images of a version at all targets to what its state says, whatever they are now."""
    availability = AVAILABILITY[record.state]
    publications = {publication.target: publication for publication in record.publications}
    names = [name for name in targets if name in publications]
    outcomes = run_parallel(
        names,
        lambda name: targets[name].set_availability(publications[name], availability, session.report),
        max(len(names), 1),
    )
    raise_failures(outcomes, nouns="targets")
    for name in publications.keys() - targets.keys() if targets else ():
        text = f"{record.version} stays as it is at {name}, which is no target of the definition any more"
        session.report(Event("note", "catalog", record.image, text))


def _distribute(session: Session, targets: Targets, record: Record) -> Record:
    """Give a restored version its shares back."""
    definition = session.definitions.images.get(record.image)
    if definition is None:
        return record
    record = distribution.distribute_version(session, definition, targets, record)
    return distribution.withdraw_version(session, definition, targets, record)


def restore_version(session: Session, record: Record, reason: str) -> Record:
    """Make a version that was retired or revoked usable again; its record. One that is complete is repaired.

    The policy of its definition passes over it from now on.

    UsageError without a definition, by which its targets would be known; NotFoundError if its images are gone.
    """
    definition = session.definitions.images.get(record.image)
    if definition is None:
        raise UsageError(
            f"{record.image} has no definition", hint="its targets and shares are known by the definition: add it again"
        )
    if record.state != "complete":
        require_change(record, "complete")
    with open_image_targets(session, record.image) as targets:
        # Looked at before: a version that is complete and cannot be used would stand in the way of others.
        distribution.refuse_undistributable(session, definition, targets, record)
        _refuse_gone(targets, record)
        if record.state == "complete" and not record.pending:
            bring_images(session, targets, record)
            return _distribute(session, targets, record)
        return change_state(session, targets, record, "complete", reason, name_policy(definition.retention))


def _refuse_gone(targets: Targets, record: Record) -> None:
    """Raise NotFoundError if a target has lost all images of a version."""
    for publication in record.publications:
        if target := targets.get(publication.target):
            findings = target.inspect(publication, AVAILABILITY[record.state])
            if findings and all(finding.status == "missing" for finding in findings):
                where = ", ".join(finding.location for finding in findings)
                message = f"{record.image} {record.version} is gone at {publication.target}: it stays {record.state}"
                raise gone_error(message, where, record.image)
