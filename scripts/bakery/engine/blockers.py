"""Finds what keeps a version from being retired: channels, versions built on it, its users, states of Terraform."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from bakery.catalog import Record
from bakery.catalog.record import State
from bakery.catalog.search import Lineage
from bakery.engine.channels import find_earlier
from bakery.engine.pointers import Targets
from bakery.engine.session import Session
from bakery.engine.uses import describe_use, find_uses
from bakery.model.retention import LAUNCHED_WITHIN_DAYS

Texts = Mapping[Path, str]  # of states of Terraform, in small letters


@dataclass(frozen=True)
class Blockers:
    """Finds what keeps the versions of one image. Channels and lineage are read once, at the first question."""

    session: Session
    targets: Targets
    image: str
    arch: str
    states: Texts

    def find(self, record: Record, after: State) -> Iterator[str]:
        """The reasons to keep a version; the targets are asked only if it would be disabled or removed."""
        yield from self._find_newest(record)
        yield from self._channels.get(record.version, ())
        if after == "deprecated":
            return
        for child in self._lineage.find_descendants(record):
            yield f"{child.image} {child.version} is built on it"
        yield from self._find_users(record)
        yield from _find_in_states(record, self.states)

    def _find_newest(self, record: Record) -> Iterator[str]:
        definition = self.session.definitions.images.get(self.image)
        for line in ("", definition.version) if definition else ("",):
            newest = self.session.catalog.newest(self.image, self.arch, line)
            if newest and newest.version == record.version:
                scope = f" of release line {line}" if line else ""
                yield f"it is the newest complete version{scope}: only 'bakery revoke' forbids it"
                break

    def _find_users(self, record: Record) -> Iterator[str]:
        definition = self.session.definitions.images.get(self.image)
        retention = definition.retention if definition else None
        idle_days = retention.launched_within_days if retention else LAUNCHED_WITHIN_DAYS
        uses, unknown = find_uses(self.targets, record)
        if unknown:
            yield f"its users are unknown: {unknown}"
        began = datetime.now(UTC) - timedelta(days=idle_days)
        for use in uses:
            if use.kind != "launch" or datetime.fromisoformat(use.at) >= began:
                yield describe_use(use)

    @cached_property
    def _channels(self) -> Mapping[str, list[str]]:
        """The channels that need a version, by version. The catalog itself refuses one at which a channel points."""
        needs: dict[str, list[str]] = {}
        for head in self.session.catalog.heads(self.image, self.arch):
            needs.setdefault(head.version, []).append(f"{head.channel} points at it")
            if earlier := find_earlier(self.session.catalog, head):
                needs.setdefault(earlier.version, []).append(f"{head.channel} would roll back to it")
        return needs

    @cached_property
    def _lineage(self) -> Lineage:
        return Lineage(self.session.catalog, self.arch)


def _find_in_states(record: Record, states: Texts) -> Iterator[str]:
    locations = [
        location for publication in record.publications for location in (*publication.locations, *publication.withdrawn)
    ]
    identities = sorted({text for location in locations for text in (location.id, location.snapshot)} - {""})
    for path, text in states.items():
        yield from (f"{path} has {identity}" for identity in identities if identity.casefold() in text)
