"""Looks the packages of definitions up in their archives, before a bake would miss one."""

from collections.abc import Iterable, Iterator, Mapping

from bakery.catalog import Record
from bakery.engine.session import Session
from bakery.host import files
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event
from bakery.model.definition import ImageDefinition
from bakery.model.inputs import PARENT, remote_base
from bakery.refresh import Archives, find_missing


def find_missing_packages(
    session: Session, bakes: Iterable[tuple[ImageDefinition, Mapping[str, str]]]
) -> Iterator[tuple[str, UsageError]]:
    """The image and an error for each package of images, each with the inputs of its bake, that no archive has.

    The image that one is built on names the archives, or its own newest version if that has the same base. Without one,
    and if an archive does not answer, the bake finds out.
    """
    listed = [(image, inputs) for image, inputs in bakes if image.software.packages and not image.has_lock]
    records = [(image, record) for image, inputs in listed if (record := _find_record(session, image, inputs))]
    if not records:
        return
    with files.scratch(session.project.cache, "packages") as scratch:
        archives = Archives(session.project.cache / "archives", scratch)
        for image, record in records:
            for error in _list_errors(session, image, record, archives):
                yield image.name, error


def _find_record(session: Session, image: ImageDefinition, inputs: Mapping[str, str]) -> Record | None:
    if image.parent:
        return session.newest_record(session.definitions.images[image.parent])
    record = session.newest_record(image)
    bases = (PARENT, *map(remote_base, image.builders))
    has_same_base = record and all(record.inputs.get(name) == inputs.get(name) for name in bases)
    return record if has_same_base else None


def _list_errors(session: Session, image: ImageDefinition, record: Record, archives: Archives) -> Iterator[UsageError]:
    database = session.catalog.package_database(record)
    if database is None:
        return
    places = {entry: place for place, entry in enumerate(image.software.packages)}
    try:
        missing = find_missing(database, archives, list(places))
    except BakeryError as error:
        session.report(Event("note", "plan", image.name, f"packages are not looked up: {error.message}"))
        return
    for entry, hint in missing.items():
        where = session.definitions.where(image.name, "software", "packages", places[entry])
        yield UsageError(f"no archive of {image.name} has the package {entry}", where=where, hint=hint)
