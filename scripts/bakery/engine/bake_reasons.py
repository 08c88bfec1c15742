"""The reasons of a plan to bake an image, and those not to bake what is due; empty texts where there is none."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from bakery.catalog.record import Record
from bakery.engine.updates import describe_updates, due_updates
from bakery.engine.world import World
from bakery.host.text import count_of
from bakery.model.definition import ImageDefinition
from bakery.model.inputs import compare_inputs

CLOCK_DIFFERENCE = timedelta(minutes=5)  # between two machines that set their clocks by the network


def explain_bake(
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


def explain_pause(image: ImageDefinition, key: str, world: World) -> str:
    """The reason not to bake what is due; empty unless these inputs failed too often. --rebuild tries again."""
    failures = [failure for failure in world.failures.get(image.name, ()) if failure.input_key == key]
    if image.max_failures is None or len(failures) < image.max_failures or image.name in world.rebuilds:
        return ""
    last = failures[-1]
    count = count_of(len(failures), "failure")
    return f"paused after {count}, the last on {last.at[:10]} in {last.step}: {last.message}"


def explain_revoked(image: ImageDefinition, latest: Record | None, key: str, since: str, world: World) -> str:
    """The reason not to make a revoked version once more; empty if something is newer. --rebuild makes it."""
    if latest is None or latest.state != "revoked" or latest.input_key != key or image.name in world.rebuilds:
        return ""
    if since and datetime.fromisoformat(since) > datetime.fromisoformat(latest.baked):
        return ""
    return f"paused: {latest.version} was made from these inputs, and revoked: {latest.reason}"


def explain_revocation(latest: Record | None, record: Record | None, key: str) -> str:
    """The reason if the latest version was revoked, and the newest complete one is of other inputs or absent."""
    if latest is None or latest.state != "revoked" or (record and latest.input_key != key):
        return ""
    return f"{latest.version} was revoked: {latest.reason}"


def explain_absence(image: ImageDefinition, latest: Record | None) -> str:
    """The reason why the release line has no complete version."""
    if latest is None:
        return "never baked"
    if is_of_line(latest, image):
        return f"{latest.version} {'was not finished' if latest.state == 'reserved' else f'is {latest.state}'}"
    return f"release line {image.version} has no version yet"


def is_of_line(record: Record, image: ImageDefinition) -> bool:
    return record.version.startswith(f"{image.version}.")


def find_due_time(image: ImageDefinition, record: Record | None, world: World) -> str:
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
