"""Brings a published version wherever its definition wants it, and takes it back from everywhere else."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bakery.catalog import Record
from bakery.clouds.target import Target, gone_error
from bakery.engine.bake_reasons import describe_encryption
from bakery.engine.pointers import Targets
from bakery.engine.publish import lock_version, publish_everywhere
from bakery.engine.publish_reasons import list_unwanted
from bakery.engine.recovery import publish_recovered
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, ConflictError
from bakery.model import tags
from bakery.model.definition import ImageDefinition
from bakery.model.documents import ImageLocation, Location, Publication
from bakery.model.inputs import remote_base


def distribute_version(session: Session, definition: ImageDefinition, targets: Targets, record: Record) -> Record:
    """Make what is missing of a complete version: locations, shares, tags, and images that are gone; its record.

    A target that never had it gets its disk, from the workspace or read back from an image; NotFoundError if neither
    has it, or if Packer builds the image there. Locations that the definition does not name any more stay in the record
    until `withdraw_version`.
    """
    if record.state != "complete":
        raise BakeryError(
            f"{record.image} {record.version} is {record.state}: only a complete version can be distributed",
            detail=record.reason if record.state == "revoked" else "",
            hint=f"run 'bakery restore {record.image} {record.version} --reason TEXT' first"
            if record.state in ("deprecated", "disabled")
            else f"run 'bakery run {record.image}'",
        )
    refuse_undistributable(session, definition, targets, record)
    session.keyring.require_signer("publish")

    def distribute(name: str, target: Target) -> Publication:
        publication = record.publication(name)
        if publication is None:
            return publish_recovered(
                session, definition, record, lambda artifact, disk: target.publish(artifact, disk, session.report)
            )
        fresh = target.distribute(publication, _expected_tags(definition, record, publication), session.report)
        return publication if replace(fresh, seconds=publication.seconds) == publication else fresh

    with lock_version(session.project, record):
        publications = keep_locations(record, publish_everywhere(targets, distribute))
    reason = "repaired" if _image_ids(record.publications) - _image_ids(publications) else "distributed"
    return _revise(session, record, publications, definition.tags, reason)


def refuse_other_encryption(definition: ImageDefinition, record: Record) -> None:
    """Raise ConflictError if the images of a version have another key than the definition names."""
    if reason := describe_encryption(definition, record):
        raise ConflictError(
            f"{record.image} {record.version} cannot be published as its definition says: {reason}",
            hint=f"'bakery run {record.image}' bakes a version with the new key",
        )


def refuse_undistributable(session: Session, definition: ImageDefinition, targets: Targets, record: Record) -> None:
    """Raise BakeryError if a version can never be wherever its definition wants it."""
    _refuse_other_key(definition, targets, record)
    missing = [name for name in definition.remote_targets if record.publication(name) is None]
    if missing:
        message = f"Packer never built {record.image} {record.version} at {', '.join(missing)}"
        raise gone_error(message, session.catalog.location, record.image)


def _refuse_other_key(definition: ImageDefinition, targets: Targets, record: Record) -> None:
    """Raise ConflictError if new images of a version would have its key, and the definition names another one by now.

    Images that are there keep their key, and may be repaired.
    """
    reason = describe_encryption(definition, record)
    absent = [
        location for name, target in targets.items() for location in _list_absent(target, record.publication(name))
    ]
    if reason and absent:
        places = ", ".join("/".join(location) for location in absent)
        raise ConflictError(
            f"{record.image} {record.version} cannot be brought to {places}: {reason}",
            hint=f"promote a version with the new key: 'bakery catalog {record.image}' lists all, and 'bakery run "
            f"--rebuild {record.image}' bakes one",
        )


def _list_absent(target: Target, publication: Publication | None) -> list[Location]:
    """The locations of a target that a version lacks, if the target's images have keys."""
    if publication is None or all(location.key_alias is None for location in publication.locations):
        return []
    present = {location.location for location in publication.locations}
    return [location for location in target.wanted_locations() if location not in present]


def keep_locations(record: Record, publications: Iterable[Publication]) -> tuple[Publication, ...]:
    """The publications of a run, with the locations of earlier ones that they lack."""
    return tuple(_add_locations(fresh, record.publication(fresh.target)) for fresh in publications)


def withdraw_version(session: Session, definition: ImageDefinition, targets: Targets, record: Record) -> Record:
    """Take a version back from the locations that its definition does not name any more; its record.

    ConflictError if a channel has pointers there: they would lead to an image that their readers may not use.
    """
    publications = []
    for publication in record.publications:
        unwanted = list_unwanted(definition, publication)
        if unwanted and publication.target in targets:
            _refuse_pointers(session, record, unwanted)
            targets[publication.target].withdraw(publication, unwanted, session.report)
            rest = tuple(location for location in publication.locations if location not in unwanted)
            withdrawn = (*publication.withdrawn, *unwanted)
            publications.append(replace(publication, locations=rest, withdrawn=withdrawn))
        else:
            publications.append(publication)
    return _revise(session, record, tuple(publications), record.tags, "withdrawn")


def _add_locations(fresh: Publication, before: Publication | None) -> Publication:
    if before is None:
        return fresh
    names = {location.location for location in fresh.locations}
    earlier_locations, withdrawn = (
        tuple(location for location in locations if location.location not in names)
        for locations in (before.locations, before.withdrawn)
    )
    return replace(fresh, locations=fresh.locations + earlier_locations, withdrawn=withdrawn)


def _refuse_pointers(session: Session, record: Record, locations: Iterable[ImageLocation]) -> None:
    """Raise ConflictError if a channel that points at a version has a pointer in one of the locations."""
    names = {location.location for location in locations}
    for head in session.catalog.heads(record.image, record.arch):
        if head.version == record.version and names & {pointer.location for pointer in head.pointers}:
            raise ConflictError(
                f"channel {head.channel} of {record.image} still points at {record.version} in locations that the "
                "definition does not name any more",
                hint=f"run 'bakery promote {record.image} {record.version} {head.channel}', which removes these "
                "pointers, then run again",
            )


def _expected_tags(definition: ImageDefinition, record: Record, publication: Publication) -> tags.Tags:
    """The tags of a version at a target: of the disk that was published there, or of the image that Packer built."""
    if record.base and publication.sha256 == record.sha256:
        return tags.of_disk(definition, record, record.base, record.sha256, record.raw_sha256)
    base = record.inputs.get(remote_base(publication.target), "")
    return tags.of_image(definition, record, base, publication.sha256)


def _revise(
    session: Session,
    record: Record,
    publications: tuple[Publication, ...],
    version_tags: Mapping[str, str],
    reason: str,
) -> Record:
    names = {publication.target for publication in publications}
    elsewhere = tuple(publication for publication in record.publications if publication.target not in names)
    complete = replace(record, publications=(*publications, *elsewhere), tags=dict(version_tags))
    return record if complete == record else session.catalog.revise(complete, reason)


def _image_ids(publications: Iterable[Publication]) -> set[str]:
    return {location.id for publication in publications for location in publication.locations}
