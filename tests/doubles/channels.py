"""Channels for tests: opened as a verb opens them, and a target whose pointers are a dict."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from bakery.catalog import Catalog
from bakery.clouds.target import Finding, Listing, Resource, Use
from bakery.engine.pointers import Channel
from bakery.host.errors import BakeryError
from bakery.host.events import Reporter, silent
from bakery.model.documents import Availability, Location, Pointer, Publication
from bakery.model.version import Versioned


def open_channel(
    catalog: Catalog, targets: Mapping[str, Any], name: str = "stable", owner: str = "tester", image: str = "web"
) -> Channel:
    """A channel of the image, x86_64, whose moves belong to `owner`."""
    return Channel(catalog, image, "x86_64", name, targets, owner, silent)


class DictTarget:
    """Pointers by channel and location. Writes at a location in `refusing` fail, after those before it."""

    def __init__(self, wanted: Collection[Location], on_write: Callable[[], None] = lambda: None) -> None:
        self.wanted = list(wanted)
        self.pointers: dict[tuple[str, Location], str] = {}
        self.refusing: set[Location] = set()
        self.findings: list[Finding] = []
        self.uses: list[Use] = []
        self.availabilities: dict[str, Availability] = {}  # by version
        self.writes: list[tuple[Location, str]] = []
        self._on_write = on_write

    def inspect(self, publication: Publication, availability: Availability = "available") -> list[Finding]:
        return self.findings

    def find_uses(self, publication: Publication) -> list[Use]:
        return self.uses

    def set_availability(self, publication: Publication, availability: Availability, report: Reporter) -> None:
        self._on_write()
        self.availabilities[publication.version] = availability
        self._on_write()

    def list_resources(self, image: str, arch: str) -> Listing:
        return Listing({}, {})

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        return {}

    def wanted_locations(self) -> Collection[Location]:
        return self.wanted

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        return {location.location: location.id for location in publication.locations}

    def read_channel(self, of: Versioned, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        return {
            location: Pointer(*location, channel, 0, self.pointers[channel, location])
            for location in locations
            if (channel, location) in self.pointers
        }

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Reporter
    ) -> Mapping[Location, Pointer]:
        values = self.channel_values(publication)
        refused = []
        for location in locations:
            if location in self.refusing:
                refused.append(location)
            else:
                self._write(channel, location, values[location])
        if refused:
            raise BakeryError(f"cannot write in {refused[0].region}")
        return self.read_channel(publication, channel, locations)

    def unpoint(self, of: Versioned, channel: str, values: Mapping[Location, Collection[str]]) -> None:
        for location, candidates in values.items():
            if self.pointers.get((channel, location)) in candidates:
                self._write(channel, location, "")

    def _write(self, channel: str, location: Location, value: str) -> None:
        self._on_write()
        self.writes.append((location, value))
        if value:
            self.pointers[channel, location] = value
        else:
            del self.pointers[channel, location]
        self._on_write()
