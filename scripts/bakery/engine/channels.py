"""Channels: named pointers to versions. The rules by which they move; `moves` carries a move out."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from bakery.catalog import Catalog, ChannelEntry, PointerChange, Record, owner
from bakery.catalog.keys import version_numbers
from bakery.engine.moves import find_defects, move_channel, settle_move
from bakery.engine.notices import announce_move
from bakery.engine.pointers import Channel, Targets, describe_places, list_changes
from bakery.engine.publish_reasons import describe_hold
from bakery.engine.session import Session
from bakery.engine.targets import open_targets
from bakery.host import files
from bakery.host.errors import BakeryError, ConflictError, UnknownNameError, UsageError, suggest
from bakery.host.text import count_of
from bakery.model.definition import ImageDefinition
from bakery.model.fields import NAME
from bakery.model.version import ImageVersion


@contextmanager
def open_channel(session: Session, definition: ImageDefinition, name: str, targets: Targets) -> Iterator[Channel]:
    """A channel of an image. No other run of this workspace moves it meanwhile, so a move that it began is dead."""
    image, arch, workspace = definition.name, definition.arch, session.project.workspace
    lock = workspace / "locks" / f"channel-{image}-{arch}-{name}.lock"
    with files.exclusive(lock, f"another run moves channel {name} of {image}"):
        yield Channel(session.catalog, image, arch, name, targets, owner(workspace), session.report)


@contextmanager
def open_image_channel(session: Session, image: str, name: str) -> Iterator[Channel]:
    """A channel of an image, with its targets logged in to; a change by the block is announced."""
    [definition] = session.definitions.select([image])
    with open_targets(session, definition) as targets, open_channel(session, definition, name, targets) as channel:
        before = channel.head
        yield channel
        after = channel.head
    if after and (before is None or after.number != before.number):
        announce_move(session, after, before.version if before else "")


def promote(
    channel: Channel, record: Record, reason: str, *, is_new: bool = False, overwrite: bool = False
) -> ChannelEntry:
    """Point a channel at a complete version because a person said so; its entry, which may exist already.

    No run moves a channel any more that points at an older version than the newest; to promote the newest releases it.
    UnknownNameError if the image has no such channel, unless it `is_new`. `overwrite` replaces values of others.
    """
    settle_move(channel, overwrite=overwrite)
    if not is_new:
        _require_channel(channel)
    _refuse_incomplete(channel, record)
    newest = channel.catalog.newest(record.image, record.arch)
    held = newest is not None and version_numbers(record.version) < version_numbers(newest.version)
    return _move(channel, record, reason, held=held, overwrite=overwrite)


def follow(channel: Channel, record: Record, reason: str) -> ChannelEntry:
    """Point a channel at the version that a run published; its entry.

    A channel stays at its version if a person holds it, or if that is newer; it only leaves locations that the
    definition does not name any more.
    """
    settle_move(channel)
    head = channel.head
    if head and head.version != record.version and head.held:
        channel.note(f"{describe_hold(head)}; 'bakery channel release {head.image} {head.channel}' ends that")
        return _leave_places(channel, head)
    if head and head.version and version_numbers(head.version) > version_numbers(record.version):
        channel.note(f"{channel.name} stays at {head.version}, which is newer; 'bakery promote' moves it back")
        return _leave_places(channel, head)
    return _move(channel, record, reason)


def _leave_places(channel: Channel, head: ChannelEntry) -> ChannelEntry:
    """Remove the pointers of a channel where the definition does not name a location any more; its entry."""
    record = channel.record(head.version)
    if record is None or all(change.after for change in list_changes(channel, record)):
        return head
    return _move(channel, record, f"{head.version} is withdrawn from locations", held=head.held)


def rollback(channel: Channel, reason: str, *, overwrite: bool = False) -> ChannelEntry:
    """Point a channel at the newest version before its own that it has pointed at and that is still complete.

    It stays there until a person releases it.
    """
    settle_move(channel, overwrite=overwrite)
    head = require_head(channel)
    if record := find_earlier(channel.catalog, head):
        reason = reason or f"rollback from {head.version}"
        return _move(channel, record, reason, held=True, overwrite=overwrite)
    raise BakeryError(
        f"channel {channel.name} of {channel.image} never pointed at a version before {head.version} "
        "that is still complete",
        where=channel.catalog.location,
        hint=f"choose one: bakery promote {channel.image} VERSION {channel.name}",
    )


def find_earlier(catalog: Catalog, head: ChannelEntry) -> Record | None:
    """The newest complete version before a channel's own that it has pointed at."""
    return next(list_earlier(catalog, head), None)


def list_earlier(catalog: Catalog, head: ChannelEntry, without: Collection[ImageVersion] = ()) -> Iterator[Record]:
    """All such versions, the newest first; none of `without`."""
    history = catalog.history(head.image, head.arch, head.channel)
    older = {
        entry.version
        for entry in history
        if entry.version and version_numbers(entry.version) < version_numbers(head.version)
    }
    for version in sorted(older, key=version_numbers, reverse=True):
        record = catalog.record(ImageVersion(head.image, head.arch, version))
        if record.state == "complete" and ImageVersion.of(record) not in without:
            yield record


def retreat(channel: Channel, record: Record, reason: str) -> ChannelEntry:
    """Point a channel at an earlier version because its own gets revoked; runs move it forward as before."""
    settle_move(channel)
    return _move(channel, record, reason, held=require_head(channel).held)


def release(channel: Channel, reason: str) -> ChannelEntry:
    """Let runs move a channel again; its entry."""
    settle_move(channel)
    head = require_head(channel)
    record = channel.record(head.version)
    if not head.held or record is None:
        channel.note(f"{channel.name} is not held")
        return head
    entry = move_channel(channel, record, list_changes(channel, record), reason or "released")
    channel.note(f"runs move {channel.name} again")
    return entry


def delete(channel: Channel, reason: str) -> ChannelEntry:
    """Remove all pointers of a channel; the entry that says so."""
    settle_move(channel)
    require_head(channel)
    return move_channel(channel, None, list_changes(channel, None), reason or "deleted")


def repair_pointers(channel: Channel) -> None:
    """Finish what was interrupted, and write the pointers again that somebody else changed."""
    settle_move(channel, overwrite=True)
    head = channel.head
    record = channel.record(head.version) if head else None
    if head and record:
        _move(channel, record, f"repaired: {record.version}", held=head.held, overwrite=True)


def require_head(channel: Channel) -> ChannelEntry:
    """The newest entry of a channel; NotFoundError if it points at nothing."""
    head = channel.head
    if head is None or not head.version:
        raise unknown_channel(channel.catalog, channel.image, channel.arch, channel.name)
    return head


def unknown_channel(catalog: Catalog, image: str, arch: str, name: str) -> UnknownNameError:
    """The error for a channel that an image does not have."""
    return UnknownNameError(
        f"{image} has no channel {name}", where=catalog.location, hint=_hint_at_channels(catalog, image, arch, name)
    )


def _hint_at_channels(catalog: Catalog, image: str, arch: str, name: str) -> str:
    names = catalog.channels(image, arch)
    return suggest(name, names) or f"its channels: {', '.join(names) or 'none'}"


def require_name(channel: str) -> None:
    """Raise UsageError unless `channel` has the form of a channel's name in definitions."""
    if not re.fullmatch(NAME, channel):
        raise UsageError(
            f"'{channel}' is not a channel name", hint="2 to 50 small letters, digits and dashes, a letter first"
        )


def require_movable(channel: Channel, record: Record) -> list[PointerChange]:
    """The changes of a move; BakeryError unless the version can be used everywhere, and is wherever it is wanted."""
    _refuse_incomplete(channel, record)
    _refuse_absent(channel, record)
    if defects := find_defects(channel, record):
        raise BakeryError(
            f"{record.image} {record.version} cannot be used everywhere: {count_of(len(defects), 'check')} failed",
            detail="\n".join(f"{defect.location}: {defect.status}: {defect.detail}" for defect in defects),
            hint=f"{channel.name} was not moved; repair the version with 'bakery distribute {record.image} "
            f"{record.version}', then run this again",
        )
    changes = list_changes(channel, record)
    _refuse_gaps(channel, record, changes)
    return changes


def _move(
    channel: Channel, record: Record, reason: str, *, held: bool = False, overwrite: bool = False
) -> ChannelEntry:
    """Move a channel if the version can be used everywhere, and name the places that it leaves."""
    changes = require_movable(channel, record)
    if leaving := [change for change in changes if not change.after]:
        channel.note(f"{channel.name} leaves {describe_places(leaving)}, which the definition does not name any more")
    return move_channel(channel, record, changes, reason, held=held, overwrite=overwrite)


def _require_channel(channel: Channel) -> None:
    """Raise UnknownNameError if the channel does not exist: a mistyped name would make a new one."""
    head = channel.head
    if head is None or not head.version:
        near = _hint_at_channels(channel.catalog, channel.image, channel.arch, channel.name)
        raise UnknownNameError(f"{channel.image} has no channel {channel.name}", hint=f"{near}; --new makes a new one")


def _refuse_incomplete(channel: Channel, record: Record) -> None:
    if record.state == "complete":
        return
    name = f"{record.image} {record.version}"
    if record.state in ("deprecated", "disabled"):
        hint = f"run 'bakery restore {name} --reason TEXT' first"
    else:
        newest = channel.catalog.newest(record.image, record.arch) if record.state != "reserved" else None
        first = f"promote {newest.version}" if newest else f"run 'bakery run {record.image}'"
        hint = f"{first}; 'bakery catalog {record.image}' lists all versions"
    raise BakeryError(
        f"{name} is {record.state}: only a complete version can be promoted",
        detail=record.reason if record.state != "reserved" else "",
        hint=hint,
    )


def _refuse_absent(channel: Channel, record: Record) -> None:
    """Raise BakeryError if the version is not at a target of the image."""
    if missing := [name for name in channel.targets if record.publication(name) is None]:
        raise BakeryError(
            f"{record.image} {record.version} was never published at {', '.join(missing)}",
            hint=f"bring it there with 'bakery distribute {record.image} {record.version}', or promote a version "
            "that is at every target",
        )


def _refuse_gaps(channel: Channel, record: Record, changes: Sequence[PointerChange]) -> None:
    """Raise ConflictError if a version is not where the channel has a pointer and the definition still wants one."""
    wanted = {name: target.wanted_locations() for name, target in channel.targets.items()}
    gaps = [change for change in changes if not change.after and change.location in wanted[change.target]]
    if gaps:
        raise ConflictError(
            f"{record.image} {record.version} is not in {describe_places(gaps)}, where {channel.name} has a pointer",
            hint=f"{channel.name} was not moved; bring the version there first: 'bakery distribute {record.image} "
            f"{record.version}'",
        )
