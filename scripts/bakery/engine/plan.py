"""definitions + catalog + observations -> Plan. Decides for each image, with a reason; changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from graphlib import TopologicalSorter
from typing import Literal

from bakery.catalog.keys import version_numbers
from bakery.catalog.record import ChannelEntry, Failure, Move, Record
from bakery.engine.lineage import describe_parent, describe_rebuilt_parent
from bakery.engine.updates import MAX_AGE, describe_refresh, describe_updates, due_updates
from bakery.engine.vendor_bases import BaseState, compare_bases, describe_bases
from bakery.host.text import count_of
from bakery.model.definition import ImageDefinition
from bakery.model.documents import ImageLocation, Publication
from bakery.model.inputs import Change, compare_inputs, input_key
from bakery.model.observations import BaseKey, BaseObservation, Observation
from bakery.model.version import ImageVersion

CLOCK_DIFFERENCE = timedelta(minutes=5)  # between two machines that set their clocks by the network
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


@dataclass(frozen=True)
class Lookups:
    """Questions about one image, by which a plan reads no more of the catalog than it needs.

    `newest` is the newest complete version of its release line. `latest` is the latest version of the release line in
    any state, or of another one if the release line has none. `head` is the newest entry of its channel, `move` the
    last line of the channel's journal, and `pointed` the version of an entry.
    """

    newest: Callable[[ImageDefinition], Record | None]
    latest: Callable[[ImageDefinition], Record | None]
    head: Callable[[ImageDefinition], ChannelEntry | None]
    move: Callable[[ImageDefinition], Move | None]
    pointed: Callable[[ChannelEntry], Record]


@dataclass(frozen=True)
class World:
    """The facts of a plan that are not in definitions: observations of versions, their greatest age, and the time.

    `rebuilds` has the time of each request to bake an image again; `failures` are an image's since its newest version,
    oldest first. `bases` are the newest ones of vendors.
    """

    now: datetime
    observations: Mapping[ImageVersion, Observation] = field(default_factory=dict)
    max_age: timedelta = MAX_AGE
    rebuilds: Mapping[str, datetime] = field(default_factory=dict)
    failures: Mapping[str, Sequence[Failure]] = field(default_factory=dict)
    bases: Mapping[BaseKey, BaseObservation] = field(default_factory=dict)

    def observation(self, record: Record) -> Observation | None:
        """The observation of this version, if it has one; observations of other versions do not apply."""
        return self.observations.get(ImageVersion.of(record))

    def base_states(self, image: ImageDefinition, record: Record) -> tuple[BaseState, ...]:
        """The bases of vendors that a version was built from, and the newest ones."""
        return compare_bases(image, record, self.bases)


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
            reason, due_since = f"waits for {parent.image}", _due_since(image, record, world)
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
    interrupted = _describe_interruption(move) if move and action.kind != "promote" else ""
    return replace(action, hold=hold, interrupted=interrupted)


def _describe_interruption(move: Move) -> str:
    """A move that a run did not end, in a message; empty if it has ended."""
    if move.state != "begun":
        return ""
    return f"a move of {move.channel} to {move.version or 'nothing'} was interrupted, {move.at}"


def _decide_action(
    image: ImageDefinition, record: Record | None, inputs: dict[str, str], lookups: Lookups, world: World
) -> Action:
    key = input_key(inputs)
    reason = _bake_reason(image, record, key, inputs, world)
    if record is None or reason:
        action = _decide_bake(image, record, inputs, reason, lookups.latest(image), world)
        return _add_publication(action, image, record, lookups) if action.kind == "bake" else action
    missing = _publish_reason(image, record) or _staying_reason(image, record, lookups)
    if missing:
        action = Action(image.name, image.arch, "publish", missing, record.version, image.version, key)
        return _add_publication(action, image, record, lookups)
    head = lookups.head(image) if image.channel else None
    if late := _promotion_reason(image, record, head, lookups):
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


def _staying_reason(image: ImageDefinition, record: Record, lookups: Lookups) -> str:
    """The reason to publish: the channel stays at another version, in a location that the definition does not name."""
    pointed = _find_staying(image, record, lookups)
    unwanted = _list_all_unwanted(image, pointed) if pointed else []
    if pointed is None or not unwanted:
        return ""
    return f"{image.channel} stays at {pointed.version}, {_describe_unwanted(unwanted)}"


def _find_staying(image: ImageDefinition, record: Record | None, lookups: Lookups) -> Record | None:
    """The version at which the channel stays whatever a run publishes; None if runs move it."""
    head = lookups.head(image) if image.channel else None
    if head is None or record is None or not head.version or head.version == record.version:
        return None
    return lookups.pointed(head) if head.held or _is_ahead(head, record.version) else None


def _promotion_reason(image: ImageDefinition, record: Record, head: ChannelEntry | None, lookups: Lookups) -> str:
    """The reason to move the channel to a version that needs nothing else; empty if it is there, later or held."""
    if not image.channel:
        return ""
    move = lookups.move(image)
    if move and (interruption := _describe_interruption(move)):
        return interruption
    if head is None or not head.version:
        return f"{image.channel} points at no version yet"
    if head.held or head.version == record.version or _is_ahead(head, record.version):
        return ""
    return f"{image.channel} points at {head.version}"


def _is_ahead(head: ChannelEntry, version: str) -> bool:
    """Whether a channel is at a newer version: another release line may share it, and runs move it forward only."""
    return bool(head.version) and version_numbers(head.version) > version_numbers(version)


def describe_hold(head: ChannelEntry) -> str:
    """A held channel in a message: since when, by whom and why."""
    why = f": {head.reason}" if head.reason else ""
    return f"{head.channel} is held at {head.version} since {head.at[:16].replace('T', ' ')} by {head.by}{why}"


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
    since = _due_since(image, record, world)
    if pause := _pause_reason(image, key, world) or _revoked_reason(image, latest, key, since, world):
        return Action(image.name, image.arch, "pause", pause, version, image.version, key, inputs, changes)
    return Action(
        image.name,
        image.arch,
        "bake",
        _revocation_reason(latest, record, key) or reason or _absence_reason(image, latest),
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
    staying = _find_staying(image, record, lookups)
    unwanted = [location for one in (record, staying) if one for location in _list_all_unwanted(image, one)]
    action = replace(
        action, targets=image.targets, leaves=tuple(dict.fromkeys("/".join(place.location) for place in unwanted))
    )
    head = lookups.head(image) if image.channel else None
    before = head.version if head else ""
    if not image.channel or before == version:
        return action
    if head and (head.held or _is_ahead(head, version)):
        return action
    return replace(action, move=ChannelMove(image.channel, before, version))


def _next_version(image: ImageDefinition, latest: Record | None, key: str) -> str:
    """The version that the catalog gives a bake of these inputs: an unfinished one of theirs, or the next."""
    if latest is None or not _is_of_line(latest, image):
        return f"{image.version}.0"
    if latest.state == "reserved" and latest.input_key == key:
        return latest.version
    return f"{image.version}.{int(latest.version.rpartition('.')[2]) + 1}"


def _revocation_reason(latest: Record | None, record: Record | None, key: str) -> str:
    """The reason if the latest version was revoked, and the newest complete one is of other inputs or absent."""
    if latest is None or latest.state != "revoked" or (record and latest.input_key != key):
        return ""
    return f"{latest.version} was revoked: {latest.reason}"


def _absence_reason(image: ImageDefinition, latest: Record | None) -> str:
    """The reason why the release line has no complete version."""
    if latest is None:
        return "never baked"
    if _is_of_line(latest, image):
        return f"{latest.version} {'was not finished' if latest.state == 'reserved' else f'is {latest.state}'}"
    return f"release line {image.version} has no version yet"


def _is_of_line(record: Record, image: ImageDefinition) -> bool:
    return record.version.startswith(f"{image.version}.")


def _bake_reason(
    image: ImageDefinition, record: Record | None, key: str, inputs: Mapping[str, str], world: World
) -> str:
    """The reason to replace the newest complete version; empty if none is due, or if there is no such version."""
    if record is None:
        return ""
    if key != record.input_key:
        changes = compare_inputs(record.inputs, inputs)
        if not changes:
            return f"another release computed the input key of {record.version}"
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        return f"{changes[0]}{more}"
    if encryption := describe_encryption(image, record):
        return encryption
    if updates := due_updates(image, world.observation(record)):
        return describe_updates(updates)
    if newer := [state for state in world.base_states(image, record) if state.since]:
        return "; ".join(map(str, newer))
    baked = datetime.fromisoformat(record.baked)
    age = world.now - baked
    if image.rebuild_after_days is not None and age > timedelta(days=image.rebuild_after_days):
        return f"{record.version} is {age.days} days old (rebuild_after_days: {image.rebuild_after_days})"
    # A version may say that it was baked in the future, by a clock that was ahead: nothing was baked since.
    if image.name in world.rebuilds and not world.rebuilds[image.name] <= baked <= world.now + CLOCK_DIFFERENCE:
        return "asked for by --rebuild"
    return ""


def describe_encryption(image: ImageDefinition, record: Record) -> str:
    """The reason to make new images because the key that encrypts them changed; empty if it did not."""
    for target, settings in image.distribution.by_target.items():
        publication = record.publication(target)
        for location in publication.locations if publication else ():
            if location.key_alias is not None and location.key_alias != settings.encryption:
                before, after = location.key_alias or "none", settings.encryption or "none"
                return f"encryption at {target} changed: {before} -> {after}, and images keep theirs"
    return ""


def _pause_reason(image: ImageDefinition, key: str, world: World) -> str:
    """The reason not to bake what is due; empty unless these inputs failed too often. --rebuild tries again."""
    failures = [failure for failure in world.failures.get(image.name, ()) if failure.input_key == key]
    if image.max_failures is None or len(failures) < image.max_failures or image.name in world.rebuilds:
        return ""
    last = failures[-1]
    count = count_of(len(failures), "failure")
    return f"paused after {count}, the last on {last.at[:10]} in {last.step}: {last.message}"


def _revoked_reason(image: ImageDefinition, latest: Record | None, key: str, since: str, world: World) -> str:
    """The reason not to make a revoked version once more; empty if something is newer. --rebuild makes it."""
    if latest is None or latest.state != "revoked" or latest.input_key != key or image.name in world.rebuilds:
        return ""
    if since and datetime.fromisoformat(since) > datetime.fromisoformat(latest.baked):
        return ""
    return f"paused: {latest.version} was made from these inputs, and revoked: {latest.reason}"


def _due_since(image: ImageDefinition, record: Record | None, world: World) -> str:
    """The time since when a bake of this image is due by something other than its inputs; empty without one."""
    times = [world.rebuilds[image.name]] if image.name in world.rebuilds else []
    observation = world.observation(record) if record else None
    if observation and due_updates(image, observation):
        times.append(datetime.fromisoformat(observation.since or observation.at))
    states = world.base_states(image, record) if record else ()
    times += [datetime.fromisoformat(state.since) for state in states if state.since]
    if image.rebuild_after_days is not None:
        times.append(world.now - timedelta(days=image.rebuild_after_days))
    return max(times).isoformat(timespec="seconds") if times else ""


def list_unwanted(image: ImageDefinition, publication: Publication) -> tuple[ImageLocation, ...]:
    """The locations of a publication that the definition does not name any more."""
    settings = image.distribution.by_target.get(publication.target)
    return tuple(location for location in publication.locations if settings and not settings.wants(location))


def _list_all_unwanted(image: ImageDefinition, record: Record) -> list[ImageLocation]:
    return [location for publication in record.publications for location in list_unwanted(image, publication)]


def _describe_unwanted(unwanted: Sequence[ImageLocation]) -> str:
    locations = ", ".join("/".join(location.location) for location in unwanted)
    return f"still in {locations}, which the definition does not name"


def _publish_reason(image: ImageDefinition, record: Record) -> str:
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
