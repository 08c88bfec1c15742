"""Heads: a snapshot of what a plan asks about each image, so that it takes a few requests instead of some per image.

A snapshot holds documents as their writers signed them, and a reader verifies each one that it uses. `publish` signs
the snapshot with its number, so that no other duty can hide a document behind an old snapshot.

Snapshot N is true together with the announcements (`bakery.catalog.changes`) of generation N and later, and with those
that it lists as open. Its writer begins generation N first, then lists all announcements since an earlier snapshot,
then looks which of their documents exist, and then reads the records of their images. A document that exists by then is
in what is read. One that does not is open until it exists; after that nobody can create it again, and its announcement
has no meaning any more. Images without an announcement are as in the earlier snapshot. A reader asks the records of
each image with an announcement, and so sees every document that was complete before it began.

A plan decides by the records of an image unless it keeps the image (`bakery.engine.session`). The effect of an
announcement that somebody deleted is seen when all images are read again, which the first run of each day does. Without
a snapshot, or with one that cannot be verified, the records are read, and the next run writes a new one.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from bakery.catalog.channels import Channels
from bakery.catalog.keys import HEADS, document_key, heads_key, image_of, release_line
from bakery.catalog.moves import Moves
from bakery.catalog.record import ChannelEntry, Move, Record, Snapshot
from bakery.catalog.signatures import Signed
from bakery.catalog.store import read_all
from bakery.catalog.versions import Versions
from bakery.catalog.writer import actor, now
from bakery.host.errors import BakeryError, OutageError
from bakery.model.documents import Strict, dump, parse

FEW_CHANGES = 20  # images; their records take a plan about as long as the rest of it
FULL_READ = timedelta(days=1)  # a run of each night, or of each day, bears it
RELEASE_LINES = 3  # of an image; definitions name the newest ones
Image = tuple[str, str]  # name and architecture


@dataclass(frozen=True)
class Head(Strict):
    """A signed document of a key. The payload of its envelope is text here, which compresses ten times better."""

    key: str
    payload: str
    envelope: str

    @classmethod
    def of(cls, key: str, content: bytes) -> "Head":
        """The head of an envelope as it was written."""
        envelope = json.loads(content)
        payload = base64.b64decode(envelope.pop("payload")).decode()
        return cls(key, payload, json.dumps(envelope))

    @property
    def content(self) -> bytes:
        """The envelope again."""
        payload = base64.b64encode(self.payload.encode()).decode()
        return json.dumps({**json.loads(self.envelope), "payload": payload}).encode()


@dataclass(frozen=True)
class ImageHeads(Strict):
    """The newest complete version of each of the newest release lines; the newest entry and move of each channel."""

    newest: Mapping[str, Head]
    channels: Mapping[str, Head]
    moves: Mapping[str, Head]


@dataclass(frozen=True)
class HeadsOfImages(Strict):
    """The content of a snapshot: heads by `IMAGE@ARCH`, and the keys that were announced and did not exist."""

    images: Mapping[str, ImageHeads]
    open: tuple[str, ...]
    schema: Literal["bakery/heads/1"] = "bakery/heads/1"


@dataclass(frozen=True)
class CurrentHeads:
    """The heads of all images that are as a snapshot says. Documents are verified when they are asked for."""

    catalog: "Heads"
    images: Mapping[str, ImageHeads] = field(default_factory=dict)

    def has(self, image: str, arch: str, line: str) -> bool:
        """Whether the newest complete version of a release line is here; else ask the records."""
        heads = self.images.get(_name((image, arch)))
        return heads is not None and line in heads.newest

    def newest(self, image: str, arch: str, line: str) -> Record:
        """The newest complete version of a release line that is here."""
        return self.catalog.verify_head(Record, self.images[_name((image, arch))].newest[line])

    def last_entry(self, image: str, arch: str, channel: str) -> ChannelEntry | None:
        """The newest entry of a channel of an image that is here, as `Channels.last_entry`."""
        head = self.images[_name((image, arch))].channels.get(channel)
        return self.catalog.verify_head(ChannelEntry, head) if head else None

    def last_move(self, image: str, arch: str, channel: str) -> Move | None:
        """The newest line of the journal of such a channel, as `Moves.last_move`."""
        head = self.images[_name((image, arch))].moves.get(channel)
        return self.catalog.verify_head(Move, head) if head else None


@dataclass(frozen=True)
class _Base:
    """A snapshot, its content, and the keys that may have been created since."""

    snapshot: Snapshot
    heads: HeadsOfImages
    announced: Set[str]

    @property
    def changed(self) -> set[Image]:
        """The images that may differ from the snapshot."""
        return {image_of(key) for key in self.announced}

    @property
    def unchanged(self) -> dict[str, ImageHeads]:
        """The heads of all others."""
        changed = {_name(image) for image in self.changed}
        return {name: heads for name, heads in self.heads.images.items() if name not in changed}

    @property
    def is_recent(self) -> bool:
        return datetime.now(UTC) - datetime.fromisoformat(self.snapshot.full_read) < FULL_READ


class Heads(Versions, Channels, Moves):
    """The heads of all images."""

    def current_heads(self) -> CurrentHeads:
        """The heads of all images but those that may have changed since the last snapshot."""
        base = self._find_base()
        return CurrentHeads(self, base.unchanged if base else {})

    def renew_heads(self) -> None:
        """Write a snapshot if there is none, if many images have changed, or if all were read too long ago.

        Does nothing where this run cannot: a plan then takes longer, and says the same.
        """
        with suppress(BakeryError):
            base = self._find_base()
            if base and base.is_recent and len(base.changed) <= FEW_CHANGES:
                return
            self.require_publisher()
            self._write_snapshot()

    def verify_head(self, kind: type[Signed], head: Head) -> Signed:
        """The document of a head; BakeryError if it is not signed, or of another key."""
        return self._verify_signed(kind, head.key, head.content)

    def _find_base(self) -> _Base | None:
        """The newest snapshot; None if it, or the announcements since it, cannot be used."""
        names = self._numbered_names(HEADS)
        if not names:
            return None
        try:
            snapshot = self._read_signed(Snapshot, f"{HEADS}/{names[-1]}")
            key = heads_key(snapshot.sha256)
            content = gzip.decompress(self._read_intact(key, snapshot.sha256))
            heads = parse(HeadsOfImages, content, f"{self.location}/{key}")
        except OutageError:
            raise
        except BakeryError:
            return None
        announced = self.changes.keys_since(snapshot.number)
        return None if announced is None else _Base(snapshot, heads, announced | {*heads.open})

    def _write_snapshot(self) -> None:
        """Write the next snapshot. The order of its steps is what makes it true."""
        names = self._numbered_names(HEADS)
        number = self.changes.begin_generation(after=int(names[-1].removesuffix(".json")) if names else 0)
        base = self._find_base()
        announced = base.announced if base else self.changes.keys_since(0) or set()
        still_open = tuple(sorted(announced - self._existing(announced)))
        full_read, changed, unchanged = now(), set(self.images()), dict[str, ImageHeads]()
        if base and base.is_recent:
            full_read, changed, unchanged = base.snapshot.full_read, base.changed, base.unchanged
        images = {**unchanged, **self._read_images(sorted(changed))}
        packed = gzip.compress(dump(HeadsOfImages(images, still_open)))
        digest = hashlib.sha256(packed).hexdigest()
        self._store.create(heads_key(digest), packed)
        self._create_signed(Snapshot(number, digest, full_read, at=now(), by=actor()), "publish")

    def _existing(self, keys: Iterable[str]) -> set[str]:
        """Those of some keys whose documents exist."""
        folders = sorted({key.rpartition("/")[0] for key in keys})
        names = read_all(folders, self._store.list)
        return {f"{folder}/{name}" for folder, listed in zip(folders, names, strict=True) for name in listed}

    def _read_images(self, images: Sequence[Image]) -> dict[str, ImageHeads]:
        """The heads of images by name. One that cannot be read is left out: a plan then asks its records, and fails."""
        heads = read_all(images, self._read_image)
        return {_name(image): one for image, one in zip(images, heads, strict=True) if one}

    def _read_image(self, image: Image) -> ImageHeads | None:
        try:
            newest = {line: head for line in self._newest_lines(image) if (head := self._read_newest(image, line))}
            names = self.channel_names(*image)
            entries = {name: self.last_entry(*image, name) for name in names}
            channels = {name: self._read_head(entry) for name, entry in entries.items() if entry}
            lines = {name: self.last_move(*image, name) for name in names}
            moves = {name: self._read_head(line) for name, line in lines.items() if line}
        except OutageError:
            raise
        except BakeryError:
            return None
        return ImageHeads(newest, channels, moves)

    def _newest_lines(self, image: Image) -> list[str]:
        lines = dict.fromkeys(release_line(version) for version in reversed(self.versions(*image)))
        return list(lines)[:RELEASE_LINES]

    def _read_newest(self, image: Image, line: str) -> Head | None:
        record = self.newest(*image, line)
        return self._read_head(record) if record else None

    def _read_head(self, document: Record | ChannelEntry | Move) -> Head:
        key = document_key(document)
        return Head.of(key, self._store.read(key))


def _name(image: Image) -> str:
    return "@".join(image)
