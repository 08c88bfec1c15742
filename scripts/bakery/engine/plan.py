"""definitions + catalog + observations -> Plan. Decides for each image, with a reason; changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Literal

from bakery.catalog.record import ChannelEntry, Move, Record
from bakery.engine.bake_reasons import (
    explain_absence,
    explain_bake,
    explain_pause,
    explain_revocation,
    explain_revoked,
    find_due_time,
    is_of_line,
)
from bakery.engine.lineage import describe_parent, describe_rebuilt_parent
from bakery.engine.publish_reasons import (
    describe_hold,
    describe_interruption,
    explain_promotion,
    explain_publication,
    explain_staying,
    find_staying,
    is_ahead,
    list_all_unwanted,
)
from bakery.engine.updates import describe_refresh
from bakery.engine.vendor_bases import describe_bases
from bakery.engine.world import Lookups, World
from bakery.model.definition import ImageDefinition
from bakery.model.inputs import Change, compare_inputs, input_key

Kind = Literal["bake", "wait", "publish", "promote", "pause", "keep"]


@dataclass(frozen=True)
class ChannelMove:
    """A channel that a run moves. `before` is the version that it points at now; empty for a new channel."""

    channel: str
    before: str
    after: str


@dataclass(frozen=True)
class Action:
    """The next step of one image, and its reason. `version` is in the catalog; `inputs` is set only for a bake.

    `next_version` is the one that a bake makes if no other run takes its number. A run publishes at `targets`, and then
    makes the `move`, if there is one. `hold` says why it moves no channel, if a person holds the channel. `leaves` are
    the locations of the newest version, and of that of its channel, that the definition does not name any more.
    `interrupted` is a move of the channel that a run did not end, and that the next one settles.

    `due_since`, in ISO 8601, is set for a bake, or one that waits, that is due by something other than its inputs. A
    disk that was baked from the same inputs before this time does not count.
    """

    image: str
    arch: str
    kind: Kind
    reason: str
    version: str = ""
    release_line: str = ""
    input_key: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    due_since: str = ""
    next_version: str = ""
    targets: tuple[str, ...] = ()
    move: ChannelMove | None = None
    hold: str = ""
    leaves: tuple[str, ...] = ()
    interrupted: str = ""


@dataclass(frozen=True)
class Plan:
    """Actions in an order in which they can be done: parents first."""

    actions: tuple[Action, ...]
    schema: Literal["bakery/plan/2"] = "bakery/plan/2"

    @property
    def pending(self) -> tuple[Action, ...]:
        """The actions that change something."""
        return tuple(action for action in self.actions if action.kind not in _UNCHANGED)

    @property
    def waiting(self) -> tuple[Action, ...]:
        """The actions that depend on the result of another one."""
        return tuple(action for action in self.actions if action.kind == "wait")


_UNCHANGED: tuple[Kind, ...] = ("pause", "keep")
InputsOf = Callable[[ImageDefinition, str], Mapping[str, str]]


def plan(images: Sequence[ImageDefinition], lookups: Lookups, inputs_of: InputsOf, world: World) -> Plan:
    """Decide for each image. `images` also has every ancestor."""
    by_name = {image.name: image for image in images}
    lineage = TopologicalSorter({image.name: [image.parent] if image.parent else [] for image in images})
    records: dict[str, Record | None] = {}
    actions: dict[str, Action] = {}
    for name in lineage.static_order():
        image = by_name[name]
        record = records[name] = lookups.newest(image)
        parent = actions.get(image.parent or "")
        if parent and (parent.kind not in _UNCHANGED or records[parent.image] is None):
            reason, due_since = f"waits for {parent.image}", find_due_time(image, record, world)
            version = record.version if record else ""
            waiting = Action(name, image.arch, "wait", reason, version, due_since=due_since)
            actions[name] = _add_channel(waiting, image, lookups)
            continue
        parent_record = records.get(image.parent or "")
        inputs = dict(inputs_of(image, describe_parent(parent_record, record)))
        action = _decide_action(image, record, inputs, lookups, world)
        if action.kind == "keep" and (rebuilt := describe_rebuilt_parent(parent_record, record)):
            action = replace(action, reason=f"{action.reason}; {rebuilt}")
        actions[name] = _add_channel(action, image, lookups)
    return Plan(tuple(actions.values()))


def _add_channel(action: Action, image: ImageDefinition, lookups: Lookups) -> Action:
    """The action with the state of the image's channel that a person should know of, whatever is due."""
    if not image.channel:
        return action
    head, move = lookups.head(image), lookups.move(image)
    hold = describe_hold(head) if head and head.held else ""
    interrupted = describe_interruption(move) if move and action.kind != "promote" else ""
    return replace(action, hold=hold, interrupted=interrupted)


def _decide_action(
    image: ImageDefinition, record: Record | None, inputs: dict[str, str], lookups: Lookups, world: World
) -> Action:
    key = input_key(inputs)
    reason = explain_bake(image, record, key, inputs, world)
    if record is None or reason:
        action = _decide_bake(image, record, inputs, reason, lookups.latest(image), world)
        return _add_publication(action, image, record, lookups) if action.kind == "bake" else action
    missing = explain_publication(image, record) or explain_staying(image, record, lookups)
    if missing:
        action = Action(image.name, image.arch, "publish", missing, record.version, image.version, key)
        return _add_publication(action, image, record, lookups)
    head = lookups.head(image) if image.channel else None
    if late := explain_promotion(image, record, head, lookups):
        move = _plan_move(image, record, head, lookups.move(image))
        return Action(image.name, image.arch, "promote", late, record.version, image.version, key, move=move)
    updates = describe_refresh(image, world.observation(record), world.now, world.max_age)
    bases = describe_bases(world.base_states(image, record), world.now, world.max_age)
    reason = "; ".join(filter(None, ("inputs unchanged", updates, bases)))
    return Action(image.name, image.arch, "keep", reason, record.version, image.version, key)


def _plan_move(
    image: ImageDefinition, record: Record, head: ChannelEntry | None, move: Move | None
) -> ChannelMove | None:
    """The move of the channel by a run that first ends an interrupted one; None if it comes back to its version."""
    before, after = head.version if head else "", record.version
    if move and move.state == "begun":
        decided = head if head and head.number >= move.entry else move
        after = decided.version if decided.held else after
    return ChannelMove(image.channel or "", before, after) if before != after else None


def _decide_bake(
    image: ImageDefinition,
    record: Record | None,
    inputs: dict[str, str],
    reason: str,
    latest: Record | None,
    world: World,
) -> Action:
    """A bake, or a pause after failures. `latest` is the version with the highest number, in any state."""
    key = input_key(inputs)
    changes = compare_inputs(record.inputs, inputs) if record else ()
    there = record or (latest if latest and latest.state == "complete" else None)
    version = there.version if there else ""
    since = find_due_time(image, record, world)
    if pause := explain_pause(image, key, world) or explain_revoked(image, latest, key, since, world):
        return Action(image.name, image.arch, "pause", pause, version, image.version, key, inputs, changes)
    return Action(
        image.name,
        image.arch,
        "bake",
        explain_revocation(latest, record, key) or reason or explain_absence(image, latest),
        version,
        image.version,
        key,
        inputs,
        changes,
        since,
        _next_version(image, latest, key),
    )


def _add_publication(action: Action, image: ImageDefinition, record: Record | None, lookups: Lookups) -> Action:
    """The action with the targets and the channel of the version that a run publishes."""
    version = action.next_version or action.version
    staying = find_staying(image, record, lookups)
    unwanted = [location for one in (record, staying) if one for location in list_all_unwanted(image, one)]
    action = replace(
        action, targets=image.targets, leaves=tuple(dict.fromkeys("/".join(place.location) for place in unwanted))
    )
    head = lookups.head(image) if image.channel else None
    before = head.version if head else ""
    if not image.channel or before == version:
        return action
    if head and (head.held or is_ahead(head, version)):
        return action
    return replace(action, move=ChannelMove(image.channel, before, version))


def _next_version(image: ImageDefinition, latest: Record | None, key: str) -> str:
    """The version that the catalog gives a bake of these inputs: an unfinished one of theirs, or the next."""
    if latest is None or not is_of_line(latest, image):
        return f"{image.version}.0"
    if latest.state == "reserved" and latest.input_key == key:
        return latest.version
    return f"{image.version}.{int(latest.version.rpartition('.')[2]) + 1}"
