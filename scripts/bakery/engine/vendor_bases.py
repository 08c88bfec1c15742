"""Compare the vendors' bases of a version with the newest ones, in words for a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bakery.catalog.record import Record
from bakery.engine.updates import is_old
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Strict, VendorBase
from bakery.model.observations import BaseKey, BaseObservation

READABLE = 24  # characters of an identity: an AMI ID has 21, a digest is cut


@dataclass(frozen=True)
class BaseState(Strict):
    """A vendor's base of one builder: the one that a version was built from, and the newest that is known.

    `since` is the time of the refresh that saw a newer one first, and empty if the version has the newest. `original`
    is None if the record of the version does not have it.
    """

    builder: str
    original: VendorBase | None
    newest: VendorBase | None
    since: str = ""

    def __str__(self) -> str:
        assert self.original and self.newest
        date = f" ({self.newest.date})" if self.newest.date else ""
        identities = (_shorten(base.identity) for base in (self.original, self.newest))
        return f"base {self.newest.name} {' -> '.join(identities)}{date}"


def compare_bases(
    image: ImageDefinition, record: Record, observations: Mapping[BaseKey, BaseObservation]
) -> tuple[BaseState, ...]:
    """The state of each base that a vendor may replace.

    A bake asks the vendor, too: an observation from before a bake says nothing about the version that it made.
    """
    return tuple(_list_states(image, record, observations))


def _list_states(
    image: ImageDefinition, record: Record, observations: Mapping[BaseKey, BaseObservation]
) -> Iterator[BaseState]:
    for builder in image.builders:
        source = image.base.by_builder[builder].vendor_source
        if not source:
            continue
        original, observation = record.vendor_bases.get(builder), observations.get((image.name, image.arch, builder))
        if observation is None or observation.source != source:
            yield BaseState(builder, original, original)
        elif original is None or _is_later(original, observation.base):
            yield BaseState(builder, original, original or observation.base)
        else:
            is_newer = observation.base.identity != original.identity
            yield BaseState(builder, original, observation.base, observation.since if is_newer else "")


def describe_bases(states: tuple[BaseState, ...], now: datetime, max_age: timedelta) -> str:
    """The state of the bases of a version that is kept, in words; empty if no vendor can replace one."""
    if not states:
        return ""
    if any(state.original is None for state in states):
        return "base unknown"
    if since := find_old_time(states, now, max_age):
        return f"base not refreshed since {since}"
    return "base unchanged"


def find_old_time(states: tuple[BaseState, ...], now: datetime, max_age: timedelta) -> str:
    """The time of the oldest answer of a vendor, if it is too old to say that nothing is new; else empty."""
    bases = [state.newest for state in states if state.newest]
    oldest = min(bases, key=lambda base: datetime.fromisoformat(base.at), default=None)
    return oldest.at if oldest and is_old(oldest, now, max_age) else ""


def _is_later(one: VendorBase, other: VendorBase) -> bool:
    return datetime.fromisoformat(one.at) > datetime.fromisoformat(other.at)


def _shorten(identity: str) -> str:
    return identity if len(identity) <= READABLE else f"{identity[:READABLE]}…"
