"""Entries that lead to records without reading all of them. A reader reads the record as well, which decides.

An entry is written before the record that it leads to, and its key holds all of its data. Lost entries cost time, and
those that lead nowhere are passed over: an index may be deleted at any time.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bakery.catalog.record import ChannelEntry, Record
from bakery.catalog.store import Store
from bakery.model.inputs import PARENT
from bakery.model.version import ImageVersion

IDENTITIES, BASES = "index/identities", "index/bases"


@dataclass(frozen=True)
class Lead:
    """A version, or a channel, that may have an identity."""

    image: str
    arch: str
    name: str


class Index:
    """The index of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_record(self, record: Record) -> None:
        """Lead to a version from each of its identities, and from what it was built on."""
        self._add_leads(record.identities, ImageVersion.of(record), record.version)
        base = digest_of(record.inputs.get(PARENT, ""))
        self._store.create(f"{BASES}/{record.image}@{record.arch}@{record.version}@{base}", b"")

    def add_channel(self, entry: ChannelEntry) -> None:
        """Lead to a channel from each of its pointers."""
        self._add_leads(sorted({pointer.name for pointer in entry.pointers}), ImageVersion.of(entry), entry.channel)

    def leads(self, identity: str) -> list[Lead]:
        """The versions and channels that may have an identity, in no order."""
        names = (name.split("@") for name in self._store.list(f"{IDENTITIES}/{digest_of(identity)}"))
        return [Lead(*parts) for parts in names if len(parts) == 3]

    def bases(self) -> dict[ImageVersion, set[str]]:
        """The digests of what versions were built on, of every version that has an entry."""
        bases: dict[ImageVersion, set[str]] = {}
        for name in self._store.list(BASES):
            *version, digest = name.split("@")
            if len(version) == 3:
                bases.setdefault(ImageVersion(*version), set()).add(digest)
        return bases

    def _add_leads(self, identities: Iterable[str], version: ImageVersion, name: str) -> None:
        for identity in identities:
            lead = f"{version.image}@{version.arch}@{name}"
            self._store.create(f"{IDENTITIES}/{digest_of(identity)}/{lead}", identity.encode())


def digest_of(text: str) -> str:
    """A text of any length in the form of a key."""
    return hashlib.sha256(text.encode()).hexdigest()
