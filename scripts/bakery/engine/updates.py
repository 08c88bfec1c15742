"""The updates that make a version due, in words for a plan."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bakery.host.text import count_of
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.observations import Observation, Update
from bakery.model.vulnerabilities import VulnerabilityObservation

MAX_AGE = timedelta(hours=24)  # security archives publish daily
NAMED = 3  # updates in a reason; the document of the refresh has all
URGENCY = {True: 0, None: 1, False: 2}  # of an update, by what is known of its security


def due_updates(image: ImageDefinition, observation: Observation | None) -> tuple[Update, ...]:
    """The updates that make an image due: those that its next bake brings, by `updates` of the definition."""
    if observation is None or image.updates == "none" or image.has_lock:
        return ()
    return observation.security if image.updates == "security" else observation.upgrade.updates


def describe_updates(updates: Sequence[Update]) -> str:
    """The reason for a bake, those for security first; empty without updates."""
    if not updates:
        return ""
    security, unclassified = count_security(updates)
    count = "1 package has an update" if len(updates) == 1 else f"{len(updates)} packages have updates"
    kinds = [f", {security} for security"] if security else []
    if unclassified:
        kinds.append(f", {unclassified} perhaps for security")
    urgent_first = sorted(updates, key=lambda update: (URGENCY[update.security], update.name))
    names = [f"{one.name} {one.installed} -> {one.candidate} ({one.suite})" for one in urgent_first[:NAMED]]
    more = ["…"] if len(updates) > NAMED else []
    return f"{count}{''.join(kinds)}: {', '.join([*names, *more])}"


def count_security(updates: Iterable[Update]) -> tuple[int | None, int]:
    """The number of updates for security, and of those that may be; the first is None if none is known, but may be."""
    counts = Counter(update.security for update in updates)
    return counts[True] if counts[True] or not counts[None] else None, counts[None]


def render_security(security: int | None, unclassified: int) -> str:
    """Such numbers in a table: `3`, `3+` if more may be for security, `?` if none is known."""
    if security is None:
        return "?"
    return f"{security}+" if unclassified else str(security)


def describe_refresh(image: ImageDefinition, observation: Observation | None, now: datetime, max_age: timedelta) -> str:
    """The state of the refresh of a version that is kept, since no update is due."""
    if observation is None:
        return "not refreshed"
    if is_old(observation, now, max_age):
        return f"not refreshed since {observation.at}"
    left_out = len(observation.upgrade.updates)
    if not left_out:
        return "no updates"
    if image.has_lock:
        return f"{count_of(left_out, 'update')} since the lock"
    return f"{left_out} {'update is' if left_out == 1 else 'updates are'} left out (updates: {image.updates})"


def is_old(observation: Observation | VulnerabilityObservation | VendorBase, now: datetime, max_age: timedelta) -> bool:
    """Whether an observation is too old to say that nothing is new, or from a clock that is ahead as far."""
    return abs(now - datetime.fromisoformat(observation.at)) > max_age
