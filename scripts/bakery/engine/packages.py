"""Looks the packages of definitions up in their archives, before a bake would miss one."""

import re
from collections.abc import Iterable, Iterator, Mapping

from bakery.catalog import Record
from bakery.engine.session import Session
from bakery.host import files
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event
from bakery.model.definition import ImageDefinition
from bakery.model.inputs import PARENT, remote_base
from bakery.refresh import Archives, find_missing

# The name of one package; apt also takes patterns and tasks. A version or an architecture may stand behind it.
NAME = re.compile(r"([a-z0-9][a-z0-9.+-]+)(?::[a-z0-9-]+)?(?:=.*)?")


def find_missing_packages(
    session: Session, bakes: Iterable[tuple[ImageDefinition, Mapping[str, str]]]
) -> Iterator[UsageError]:
    """An error for each package of images, each with the inputs of its bake, that no archive has.

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
            yield from _list_errors(session, image, record, archives)


def _find_record(session: Session, image: ImageDefinition, inputs: Mapping[str, str]) -> Record | None:
    if image.parent:
        return session.newest_record(session.definitions.images[image.parent])
    record = session.newest_record(image)
    bases = (PARENT, *map(remote_base, image.builders))
    has_same_base = record and all(record.inputs.get(name) == inputs.get(name) for name in bases)
    return record if has_same_base else None


def _list_errors(session: Session, image: ImageDefinition, record: Record, archives: Archives) -> Iterator[UsageError]:
    places = _name_places(image)
    database = session.catalog.package_database(record)
    if database is None or not places:
        return
    try:
        missing = find_missing(database, archives, list(places))
    except BakeryError as error:
        session.report(Event("note", "plan", image.name, f"packages are not looked up: {error.message}"))
        return
    for name, hint in missing.items():
        where = session.definitions.where(image.name, "software", "packages", places[name])
        yield UsageError(f"no archive of {image.name} has the package {name}", where=where, hint=hint)


def _name_places(image: ImageDefinition) -> Mapping[str, int]:
    """The place of each name in the definition's list."""
    matches = ((NAME.fullmatch(text), place) for place, text in enumerate(image.software.packages))
    return {match[1]: place for match, place in matches if match}
