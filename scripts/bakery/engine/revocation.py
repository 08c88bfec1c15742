"""Revokes a version and those that were built on it: first shows what depends on them, then moves the channels away."""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from bakery.catalog import ChannelEntry, Record
from bakery.catalog.catalog import require_change
from bakery.catalog.search import find_descendants
from bakery.clouds.target import Use
from bakery.engine.channels import list_earlier, open_channel, require_movable, retreat
from bakery.engine.lifecycle import change_state, open_image_targets, require_records, work_by_image
from bakery.engine.moves import settle_move
from bakery.engine.notices import announce_move
from bakery.engine.plan import ChannelMove
from bakery.engine.pointers import Channel, Targets
from bakery.engine.session import Session
from bakery.engine.uses import find_uses, report_unseen
from bakery.host.errors import BakeryError
from bakery.model.documents import Strict
from bakery.model.version import ImageVersion


@dataclass(frozen=True)
class Revocation(Strict):
    """A version to revoke: the moves of its channels, and who uses its images.

    `parent` is the revoked version that it was built on, empty for the one that was asked for. `unknown` says why the
    users are not known, if they are not.
    """

    image: str
    arch: str
    version: str
    parent: str
    moves: tuple[ChannelMove, ...]
    uses: tuple[Use, ...]
    unknown: str = ""
    schema: Literal["bakery/revocation/1"] = "bakery/revocation/1"


def plan_revocation(session: Session, record: Record, *, with_children: bool) -> list[Revocation]:
    """The versions to revoke, the one that was asked for first; changes nothing.

    BakeryError, for all channels at once, if one has no earlier version to go to.
    """
    if record.state != "revoked":  # again: a run that was killed may have left children
        require_change(record, "revoked")
    children = find_descendants(session.catalog, record) if with_children else []
    records = [record, *children]
    report_unseen(session, records)
    versions = [ImageVersion.of(affected) for affected in records]
    name = f"{record.image} {record.version}"
    revocations, stuck = [], list[str]()
    with ExitStack() as stack:
        images = dict.fromkeys(version.image for version in versions)
        targets = {image: stack.enter_context(open_image_targets(session, image)) for image in images}
        for affected, version in zip(records, versions, strict=True):
            moves = _plan_moves(session, targets[version.image], affected, versions, stuck)
            uses, unknown = find_uses(targets[version.image], affected)
            parent = "" if affected is record else name
            revocations.append(Revocation(version.image, version.arch, version.version, parent, moves, uses, unknown))
    if stuck:
        raise BakeryError(
            f"{name} cannot be revoked: a channel cannot go to an earlier version",
            detail="\n".join(stuck),
            hint=f"bring a fixed version there with 'bakery run {record.image}', promote another one, or delete the "
            "channel; nothing was changed",
        )
    return revocations


def revoke_versions(session: Session, revocations: Sequence[Revocation], reason: str) -> list[Record]:
    """Move the channels away, forbid each version, and disable its images; their records.

    Logs in once for each image. A version that fails keeps no other one from being revoked.
    """
    by_version = {ImageVersion.of(revocation): revocation for revocation in revocations}

    def begin(_image: str, _arch: str, targets: Targets) -> Callable[[ImageVersion], Record]:
        return lambda version: _revoke_version(session, targets, by_version[version], by_version.keys(), reason)

    return require_records(work_by_image(session, revocations, begin))


def _plan_moves(
    session: Session, targets: Targets, record: Record, revoked: Collection[ImageVersion], stuck: list[str]
) -> tuple[ChannelMove, ...]:
    """The moves of the channels that point at a version; channels that cannot move are added to `stuck`."""
    moves = []
    for head in session.catalog.heads(record.image, record.arch):
        if head.version != record.version:
            continue
        name = f"{record.image} {head.channel}: {head.version}"
        definition = session.definitions.images.get(record.image)
        if definition is None:
            stuck.append(f"{name}, and the image has no definition")
            continue
        with open_channel(session, definition, head.channel, targets) as channel:
            earlier, obstacles = _find_earlier(channel, head, revoked)
        if earlier:
            moves.append(ChannelMove(head.channel, head.version, earlier.version))
        else:
            stuck += [f"{name} -> {obstacle}" for obstacle in obstacles] or [f"{name} is its first complete version"]
    return tuple(moves)


def _find_earlier(
    channel: Channel, head: ChannelEntry, revoked: Collection[ImageVersion]
) -> tuple[Record | None, list[str]]:
    """The newest earlier version to which a channel can go, and the reasons why it cannot go to newer ones."""
    obstacles = []
    for earlier in list_earlier(channel.catalog, head, revoked):
        try:
            require_movable(channel, earlier)
        except BakeryError as error:
            obstacles.append(f"{earlier.version}: {error.message}; {error.hint}")
        else:
            return earlier, obstacles
    return None, obstacles


def _revoke_version(
    session: Session, targets: Targets, revocation: Revocation, revoked: Collection[ImageVersion], reason: str
) -> Record:
    text = f"built on {revocation.parent}: {reason}" if revocation.parent else reason
    record = session.catalog.record(revocation)
    if definition := session.definitions.images.get(record.image):
        for name in session.catalog.channel_names(record.image, record.arch):
            with open_channel(session, definition, name, targets) as channel:
                _move_away(session, channel, record, revoked, f"{record.version} is revoked: {reason}")
    return change_state(session, targets, record, "revoked", text)


def _move_away(
    session: Session, channel: Channel, record: Record, revoked: Collection[ImageVersion], reason: str
) -> None:
    """Point a channel at the version before, if it points at one that gets revoked, or a killed run left it moving."""
    settle_move(channel)
    head = channel.head
    if head is None or head.version != record.version:
        return
    # The plan has looked; the catalog refuses a version at which somebody pointed a channel since.
    earlier, _ = _find_earlier(channel, head, revoked)
    if earlier:
        entry = retreat(channel, earlier, reason)
        announce_move(session, entry, head.version)
