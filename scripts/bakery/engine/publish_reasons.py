"""The reasons of a plan to publish a version, and to move a channel to it or keep it; empty texts for none."""

from collections.abc import Sequence

from bakery.catalog.keys import version_numbers
from bakery.catalog.record import ChannelEntry, Move, Record
from bakery.engine.world import Lookups
from bakery.model.definition import ImageDefinition
from bakery.model.documents import ImageLocation, Publication
from bakery.model.inputs import compare_inputs


def explain_publication(image: ImageDefinition, record: Record) -> str:
    """The reason to publish: a target, location or tag that the record lacks; empty if there is none."""
    for target in image.targets:
        publication = record.publication(target)
        if publication is None:
            return f"not yet at target {target}"
        have = {name for location in publication.locations for name in (location.account, location.region)}
        missing = [name for name in image.distribution.wanted(target) if name not in have]
        if missing:
            return f"not yet in {', '.join(missing)}"
        if unwanted := list_unwanted(image, publication):
            return _describe_unwanted(unwanted)
    if record.tags != image.tags:
        names = [change.input for change in compare_inputs(record.tags, image.tags)]
        return f"tags changed: {', '.join(names)}"
    return ""


def explain_staying(image: ImageDefinition, record: Record, lookups: Lookups) -> str:
    """The reason to publish: the channel stays at another version, in a location that the definition does not name."""
    pointed = find_staying(image, record, lookups)
    unwanted = list_all_unwanted(image, pointed) if pointed else []
    if pointed is None or not unwanted:
        return ""
    return f"{image.channel} stays at {pointed.version}, {_describe_unwanted(unwanted)}"


def explain_promotion(image: ImageDefinition, record: Record, head: ChannelEntry | None, lookups: Lookups) -> str:
    """The reason to move the channel to a version that needs nothing else; empty if it is there, later or held."""
    if not image.channel:
        return ""
    move = lookups.move(image)
    if move and (interruption := describe_interruption(move)):
        return interruption
    if head is None or not head.version:
        return f"{image.channel} points at no version yet"
    if head.held or head.version == record.version or is_ahead(head, record.version):
        return ""
    return f"{image.channel} points at {head.version}"


def find_staying(image: ImageDefinition, record: Record | None, lookups: Lookups) -> Record | None:
    """The version at which the channel stays whatever a run publishes; None if runs move it."""
    head = lookups.head(image) if image.channel else None
    if head is None or record is None or not head.version or head.version == record.version:
        return None
    return lookups.pointed(head) if head.held or is_ahead(head, record.version) else None


def is_ahead(head: ChannelEntry, version: str) -> bool:
    """Whether a channel is at a newer version: another release line may share it, and runs move it forward only."""
    return bool(head.version) and version_numbers(head.version) > version_numbers(version)


def describe_hold(head: ChannelEntry) -> str:
    """A held channel in a message: since when, by whom and why."""
    why = f": {head.reason}" if head.reason else ""
    return f"{head.channel} is held at {head.version} since {head.at[:16].replace('T', ' ')} by {head.by}{why}"


def describe_interruption(move: Move) -> str:
    """A move that a run did not end, in a message; empty if it has ended."""
    if move.state != "begun":
        return ""
    return f"a move of {move.channel} to {move.version or 'nothing'} was interrupted, {move.at}"


def list_unwanted(image: ImageDefinition, publication: Publication) -> tuple[ImageLocation, ...]:
    """The locations of a publication that the definition does not name any more."""
    settings = image.distribution.by_target.get(publication.target)
    return tuple(location for location in publication.locations if settings and not settings.wants(location))


def list_all_unwanted(image: ImageDefinition, record: Record) -> list[ImageLocation]:
    return [location for publication in record.publications for location in list_unwanted(image, publication)]


def _describe_unwanted(unwanted: Sequence[ImageLocation]) -> str:
    locations = ", ".join("/".join(location.location) for location in unwanted)
    return f"still in {locations}, which the definition does not name"
