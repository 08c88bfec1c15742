"""The pointers of a channel: the places that have one, and the values there and in the catalog."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bakery.catalog import Catalog, ChannelEntry, Move, PointerChange, Record
from bakery.clouds.target import Finding, Target
from bakery.host.errors import BakeryError, describe_error
from bakery.host.events import Event, Reporter
from bakery.model.documents import Location, Pointer
from bakery.model.version import ImageVersion

Targets = Mapping[str, Target]
Place = tuple[str, Location]  # the name of a target, and a location there
Pointers = Mapping[Place, Pointer]


@dataclass(frozen=True)
class Channel:
    """A channel of an image, and the targets at which it has pointers. `owner` owns the moves of this run."""

    catalog: Catalog
    image: str
    arch: str
    name: str
    targets: Targets
    owner: str
    report: Reporter

    @property
    def head(self) -> ChannelEntry | None:
        """The newest entry, which may have deleted the channel."""
        return self.catalog.last_entry(self.image, self.arch, self.name)

    @property
    def last_move(self) -> Move | None:
        """The last line of the journal."""
        return self.catalog.last_move(self.image, self.arch, self.name)

    @property
    def unfinished_move(self) -> Move | None:
        """The move that has begun and not ended, if there is one."""
        return self.catalog.unfinished_move(self.image, self.arch, self.name)

    def record(self, version: str) -> Record | None:
        """The record of a version; None for no version."""
        return self.catalog.record(ImageVersion(self.image, self.arch, version)) if version else None

    def note(self, text: str) -> None:
        """Report a line about the channel."""
        self.report(Event("note", "promote", self.image, text))


def list_changes(channel: Channel, record: Record | None) -> list[PointerChange]:
    """The values of a channel's pointers at each place, now and when it points at a version; None for nothing.

    BakeryError if the channel has pointers at a target that the definition does not have any more.
    """
    before, after = _list_places(channel), list_wanted(channel, record)
    if absent := {target for target, _ in before} - channel.targets.keys():
        names = " and ".join(sorted(absent))
        raise BakeryError(
            f"channel {channel.name} of {channel.image} also points at {names}, where the definition has no target",
            hint=f"add {names} to the targets again and run 'bakery channel delete {channel.image} {channel.name}'; "
            "the next run makes the channel anew, without them",
        )
    return [
        PointerChange(target, *location, before.get((target, location), ""), after.get((target, location), ""))
        for target, location in dict.fromkeys((*before, *after))
    ]


def describe_places(changes: Iterable[PointerChange]) -> str:
    """Places in a message: the target, then account and region if it has them."""
    return ", ".join(f"{change.target} {'/'.join(filter(None, change.location))}".strip() for change in changes)


def compare_pointers(channel: Channel) -> Iterator[tuple[str, Finding]]:
    """Compare the pointers of a channel with its entry; the target of each comparison with its result.

    A pointer that the channel left behind where its version was withdrawn is unexpected.
    """
    head = channel.head
    record = channel.record(head.version) if head else None
    places = _list_places(channel)
    unwanted = [
        (publication.target, location.location)
        for publication in (record.publications if record else ())
        for location in publication.withdrawn
        if publication.target in channel.targets
    ]
    changes = [
        PointerChange(target, *location, "", places.get((target, location), ""))
        for target, location in dict.fromkeys((*places, *unwanted))
    ]
    for name, group in by_target(changes).items():
        try:
            actual = read_pointers(channel, group, record)
        except BakeryError:  # one place at least does not answer
            yield from ((name, _compare_alone(channel, change, record)) for change in group)
            continue
        for change in group:
            yield name, _compare_pointer(change, actual.get(place_of(change)))


def _compare_alone(channel: Channel, change: PointerChange, record: Record | None) -> Finding:
    """The comparison at one place, which may not answer."""
    try:
        actual = read_pointers(channel, [change], record)
    except BakeryError as error:
        return Finding(_name_place(change), "unreachable", describe_error(error))
    return _compare_pointer(change, actual.get(place_of(change)))


def _name_place(change: PointerChange) -> str:
    return "/".join(filter(None, change.location)) or change.target


def _compare_pointer(change: PointerChange, pointer: Pointer | None) -> Finding:
    where = _name_place(change)
    if pointer is None:
        return Finding(where, "missing", f"expected {change.after}") if change.after else Finding(where, "correct")
    if not change.after:
        return Finding(where, "unexpected", f"{pointer.name} is {pointer.value}, expected none")
    if pointer.value != change.after:
        return Finding(where, "incorrect", f"{pointer.name} is {pointer.value}, expected {change.after}")
    return Finding(where, "correct")


def read_pointers(channel: Channel, changes: Sequence[PointerChange], of: Record | None) -> dict[Place, Pointer]:
    """The channel's pointers at the places of changes, as they are now; `of` is any version of the image."""
    pointers: dict[Place, Pointer] = {}
    for name, group in by_target(changes).items():
        if of:
            read = channel.targets[name].read_channel(of, channel.name, [change.location for change in group])
            pointers |= {(name, location): pointer for location, pointer in read.items()}
    return pointers


def _list_places(channel: Channel) -> dict[Place, str]:
    """The channel's places, and the values that its pointers have there by the catalog.

    The last move knows them: its version may be in other places by now. Older releases kept no journal.
    """
    head, move = channel.head, channel.last_move
    if move and head and head.number <= move.entry and move.state != "begun":
        return {
            place_of(change): value
            for change in move.changes
            if (value := change.after if move.state == "done" else change.before)
        }
    record = channel.record(head.version) if head else None
    elsewhere = {
        (publication.target, location.location): location.id
        for publication in (record.publications if record else ())
        if publication.target not in channel.targets
        for location in publication.locations
    }
    return {**_list_values(channel, record), **elsewhere}


def list_wanted(channel: Channel, record: Record | None) -> dict[Place, str]:
    """The values of the channel's pointers at each place of a version that the definition still names."""
    values = _list_values(channel, record)
    locations = {name: channel.targets[name].wanted_locations() for name in {name for name, _ in values}}
    return {(name, location): value for (name, location), value in values.items() if location in locations[name]}


def _list_values(channel: Channel, record: Record | None) -> dict[Place, str]:
    """The values of the channel's pointers at each place of a version."""
    return {
        (publication.target, location): value
        for publication in (record.publications if record else ())
        if publication.target in channel.targets
        for location, value in channel.targets[publication.target].channel_values(publication).items()
    }


def by_target(changes: Iterable[PointerChange]) -> dict[str, list[PointerChange]]:
    groups: dict[str, list[PointerChange]] = {}
    for change in changes:
        groups.setdefault(change.target, []).append(change)
    return groups


def place_of(change: PointerChange) -> Place:
    return change.target, change.location
