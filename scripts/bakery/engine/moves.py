"""Moves a channel at all of its places or at none, and keeps the move in the catalog while it lasts.

The places of a channel are those that it has now together with those of the version that it moves to. All of them are
looked at before the journal gets the move, the journal has it before a pointer changes, the channel's new entry decides
where it points, and the last line of the journal ends the move. A run that is killed leaves a move without that line:
the next run finishes it or takes it back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bakery.catalog import ChannelEntry, Move, PointerChange, Record
from bakery.clouds.target import Finding
from bakery.engine.pointers import (
    Channel,
    Place,
    Pointers,
    by_target,
    describe_places,
    list_wanted,
    place_of,
    read_pointers,
)
from bakery.host.errors import BakeryError, ConflictError, describe_error
from bakery.host.text import count_of
from bakery.model.documents import Location, Pointer

EndState = Literal["done", "undone"]


@dataclass(frozen=True)
class _Work:
    """A move that the journal has, to a version or to None, with the values of all pointers before it."""

    channel: Channel
    move: Move
    head: ChannelEntry | None
    record: Record | None
    actual: Pointers

    @property
    def image(self) -> Record | None:
        """A version of the image, by which targets name its pointers."""
        return self.record or self.channel.record(self.move.before)


def move_channel(
    channel: Channel,
    record: Record | None,
    changes: Sequence[PointerChange],
    reason: str,
    *,
    held: bool = False,
    overwrite: bool = False,
) -> ChannelEntry:
    """Point a channel at a version, or delete it; its entry, which may exist already.

    `changes` are those that `list_changes` names for the version. The caller has settled earlier moves, and checked
    that the version can be used. ConflictError if somebody else changed a pointer, unless the move may `overwrite` it.
    If a step fails, the pointers of all targets get their old values back.
    """
    channel.catalog.require_publisher()
    head, last = channel.head, channel.last_move
    before, version = (head.version if head else ""), (record.version if record else "")
    actual = read_pointers(channel, changes, record or channel.record(before))
    if not overwrite:
        _refuse_foreign(channel, head, changes, actual)
    pointers = _list_pointers(changes, actual)
    if head and (before, head.held, head.pointers) == (version, held, pointers) and not _due(changes, actual):
        channel.note(f"{channel.name} points at {version} already")
        return head
    move = Move(
        channel.image,
        channel.arch,
        channel.name,
        last.number + 1 if last else 0,
        "begun",
        head.number + 1 if head else 0,
        before,
        version,
        tuple(changes),
        at="",
        by="",
        reason=reason,
        owner=channel.owner,
        expires="",
        held=held,
    )
    return _carry_out(_Work(channel, channel.catalog.begin_move(move), head, record, actual))


def settle_move(channel: Channel, *, overwrite: bool = False) -> None:
    """Finish the move that an interrupted run left, if its version can be used; otherwise take it back.

    BusyError if another run may still be at work on it; ConflictError as for a move, unless it may `overwrite`.
    """
    unfinished = channel.unfinished_move
    if unfinished is None:
        return
    move = channel.catalog.take_move(unfinished, channel.owner)
    record, head = channel.record(move.version), channel.head
    actual = read_pointers(channel, move.changes, record or channel.record(move.before))
    work = _Work(channel, move, head, record, actual)
    if head and head.number >= move.entry:
        _settle_by_catalog(work)
    elif record is None or not find_defects(channel, record):
        channel.note(f"finish the move of {channel.name} to {move.version or 'nothing'}, which was interrupted")
        if not overwrite:
            _refuse_foreign(channel, head, move.changes, actual)
        _carry_out(work)
    else:
        channel.note(f"take back the move of {channel.name} to {move.version}, which was interrupted")
        # The entry comes first: from then on, the run that was interrupted cannot write its own.
        before = channel.record(move.before)
        _write_entry(work, before, actual, f"{move.version} cannot be used any more")
        _settle_by_catalog(work)


def find_defects(channel: Channel, record: Record) -> list[Finding]:
    """The reasons why a version cannot be used everywhere; none if it can."""
    if record.state != "complete":
        return [Finding(record.version, "incorrect", f"it is {record.state}")]
    findings = [
        finding
        for name, target in channel.targets.items()
        if (publication := record.publication(name))
        for finding in target.inspect(publication)
    ]
    return [finding for finding in findings if finding.status != "correct" and not finding.harmless]


def _carry_out(work: _Work) -> ChannelEntry:
    """Write the pointers and the entry of a move, and end it."""
    channel, move = work.channel, work.move
    due = _due(move.changes, work.actual)
    untouched, pointers = list(due), dict(work.actual)
    try:
        _refuse_changed_state(work)
        for name, changes in by_target(due).items():
            untouched = [change for change in untouched if change.target != name]
            pointers |= _write_pointers(work, name, changes, work.record)
        entry = _write_entry(work, work.record, pointers, move.reason, held=move.held)
    except BaseException as error:
        _take_back(work, [change for change in move.changes if change not in untouched], error)
        raise
    channel.catalog.end_move(move, "done")
    channel.note(f"{channel.name} -> {entry.version or 'deleted'}")
    return entry


def _refuse_changed_state(work: _Work) -> None:
    """Raise ConflictError if another run revoked or retired the version before the journal had this move.

    One that comes later sees the move in the journal.
    """
    record = work.channel.record(work.move.version)
    if record and record.state != "complete":
        raise ConflictError(
            f"{record.image} {record.version} is {record.state} by now: another run changed it",
            hint=f"{work.channel.name} was not moved; choose another version: 'bakery catalog {record.image}'",
        )


def _settle_by_catalog(work: _Work) -> None:
    """Point all places of a move at the version that the catalog names, and end it; BakeryError if a target fails."""
    lines, state = _follow_catalog(work, work.move.changes)
    if state is None:
        raise BakeryError(
            f"the interrupted move of channel {work.channel.name} of {work.channel.image} cannot be ended",
            detail="\n".join(lines),
            hint="run again when the targets answer; the catalog keeps the move",
        )
    work.channel.catalog.end_move(work.move, state)


def _take_back(work: _Work, changes: Sequence[PointerChange], error: BaseException) -> None:
    """Point changed places at the version that the catalog names, and add a line for each target to `error`.

    The catalog decides, since another run may have moved the channel, or only the answer to our own write been lost.
    """
    lines: list[str] = []
    try:
        lines, state = _follow_catalog(work, changes)
        if state:
            work.channel.catalog.end_move(work.move, state)
    except BakeryError as failure:
        lines.append(f"the catalog keeps the move, and the next run ends it: {describe_error(failure)}")
    if isinstance(error, BakeryError):
        error.detail = "\n".join(filter(None, (error.detail, *lines)))


def _follow_catalog(work: _Work, changes: Sequence[PointerChange]) -> tuple[list[str], EndState | None]:
    """Point places at the version that the channel's newest entry names; a line for each target, and the move's end.

    The move has no end yet if a target fails.
    """
    channel, move, head = work.channel, work.move, work.channel.head
    version = head.version if head else ""
    record = channel.record(version)
    state: EndState | None = "done" if version == move.version else "undone"
    lines = []
    for name, group in by_target(changes).items():
        try:
            _restore_target(work, name, group, record)
            lines.append(f"{name}: restored to {version or 'nothing'}")
        except BakeryError as failure:
            state = None
            lines.append(f"{name}: NOT restored to {version or 'nothing'}: {describe_error(failure)}")
    return lines, state


def _restore_target(work: _Work, name: str, changes: Sequence[PointerChange], record: Record | None) -> None:
    """Write the pointers of a target again. A place that refuses the write passes if it has its value."""
    try:
        _write_pointers(work, name, changes, record)
    except BakeryError:
        actual, values = read_pointers(work.channel, changes, work.image), _decide_values(work, record)
        for change in changes:
            pointer = actual.get(place_of(change))
            if (pointer.value if pointer else "") != values.get(place_of(change), ""):
                raise


def _write_pointers(
    work: _Work, name: str, changes: Sequence[PointerChange], record: Record | None
) -> dict[Place, Pointer]:
    """Point places of a target at a version, and remove the pointers where it is not."""
    channel = work.channel
    target, values = channel.targets[name], _decide_values(work, record)
    locations = [change.location for change in changes if place_of(change) in values]
    values_to_remove = {
        change.location: {change.before, change.after} - {""} for change in changes if place_of(change) not in values
    }
    pointers: Mapping[Location, Pointer] = {}
    if locations and record and (publication := record.publication(name)):
        pointers = target.point(publication, channel.name, locations, channel.report)
    if values_to_remove and work.image:
        target.unpoint(work.image, channel.name, values_to_remove)
    return {(name, location): pointer for location, pointer in pointers.items()}


def _write_entry(
    work: _Work, record: Record | None, pointers: Pointers, reason: str, *, held: bool = False
) -> ChannelEntry:
    """Write the channel's entry, which points at a version, or deletes the channel."""
    channel, head = work.channel, work.head
    if record is None:
        return channel.catalog.delete_channel(channel.image, channel.arch, channel.name, reason, head)
    places = _decide_values(work, record)
    own_pointers = tuple(pointers[place] for place in places if place in pointers)
    return channel.catalog.move(record, channel.name, reason, head, own_pointers, held=held)


def _refuse_foreign(
    channel: Channel, head: ChannelEntry | None, changes: Iterable[PointerChange], actual: Pointers
) -> None:
    """Raise ConflictError if a pointer has a value that neither the channel's entry nor the move gives it."""
    last_values = {pointer.value for pointer in head.pointers} if head else set()
    foreign = [
        (change, pointer)
        for change in changes
        if (pointer := actual.get(place_of(change)))
        and pointer.value not in {change.before, change.after, *last_values}
    ]
    if foreign:
        raise ConflictError(
            f"somebody else changed {count_of(len(foreign), 'pointer')} of channel {channel.name} of {channel.image}",
            detail="\n".join(
                f"{describe_places([change])}: {pointer.name} is {pointer.value}, expected {change.before or 'none'}"
                for change, pointer in foreign
            ),
            hint="find out who did it; then put the values back, or replace them with 'bakery promote "
            f"{channel.image} VERSION {channel.name} --overwrite{'' if head and head.version else ' --new'}'",
        )


def _due(changes: Iterable[PointerChange], actual: Pointers) -> list[PointerChange]:
    """The changes that are not there yet."""
    values = {place: pointer.value for place, pointer in actual.items()}
    return [change for change in changes if change.after != values.get(place_of(change), "")]


def _decide_values(work: _Work, record: Record | None) -> dict[Place, str]:
    """The values of the pointers when the channel is at a version: one of the move's, or another run's."""
    version, move = (record.version if record else ""), work.move
    if version == move.version:
        return {place_of(change): change.after for change in move.changes if change.after}
    if version == move.before:
        return {place_of(change): change.before for change in move.changes if change.before}
    return list_wanted(work.channel, record)


def _list_pointers(changes: Iterable[PointerChange], actual: Pointers) -> tuple[Pointer, ...]:
    return tuple(actual[place] for change in changes if change.after and (place := place_of(change)) in actual)
