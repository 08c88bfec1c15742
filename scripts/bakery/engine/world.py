"""The facts of a plan beside its definitions: questions about the catalog, and what was observed of the world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bakery.catalog.record import ChannelEntry, Failure, Move, Record
from bakery.engine.updates import MAX_AGE
from bakery.engine.vendor_bases import BaseState, compare_bases
from bakery.model.definition import ImageDefinition
from bakery.model.observations import BaseKey, BaseObservation, Observation
from bakery.model.version import ImageVersion


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
