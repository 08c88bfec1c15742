"""Versions, their revisions and channels, on top of a store."""

import getpass
import os
import re
import socket
from dataclasses import replace
from datetime import UTC, datetime

from bakery.catalog.record import ChannelEntry, Record
from bakery.catalog.store import Store
from bakery.host.errors import BakeryError, ConflictError, NotFoundError
from bakery.model.documents import Document, Parameter, dump, parse

VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")  # three integers: Azure galleries accept nothing else
NUMBERED = re.compile(r"^\d{6}\.json$")  # sorts as text; anything else in the folder is not ours
RESERVE_TRIES = 20  # writers that may take a number before us in one call; more means something is wrong


class Catalog:
    """The catalog of one store. Every method reads the present; nothing is cached."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.location = store.location

    def images(self) -> list[tuple[str, str]]:
        """All (image, arch) that have at least one version, sorted."""
        names = sorted(self._store.list("images"))
        return [(name, arch) for name in names for arch in sorted(self._store.list(f"images/{name}"))]

    def versions(self, image: str, arch: str) -> list[str]:
        """All versions, reserved ones included, oldest first."""
        return sorted(filter(VERSION.match, self._store.list(_versions(image, arch))), key=_order)

    def record(self, image: str, arch: str, version: str) -> Record:
        """The newest revision of a version; NotFoundError if there is none."""
        folder = f"{_versions(image, arch)}/{version}"
        revisions = self._numbered(folder)
        if not revisions:
            known = ", ".join(self.versions(image, arch)[-5:]) or "none"
            raise NotFoundError(f"{image} {version} ({arch}) is not in the catalog", hint=f"newest versions: {known}")
        return self._read(Record, f"{folder}/{revisions[-1]}")

    def newest(self, image: str, arch: str, line: str = "") -> Record | None:
        """The newest complete version, of the version line MAJOR.MINOR if given."""
        for version in reversed(self.versions(image, arch)):
            if version.startswith(f"{line}." if line else ""):
                record = self.record(image, arch, version)
                if record.state == "complete":
                    return record
        return None

    def reserve(self, image: str, arch: str, line: str, input_key: str, inputs: dict[str, str]) -> Record:
        """The version for a bake: an open reservation of the same key, else the next PATCH of the line."""
        for _ in range(RESERVE_TRIES):
            versions = [version for version in self.versions(image, arch) if version.startswith(f"{line}.")]
            if versions:
                last = self.record(image, arch, versions[-1])
                if last.state == "reserved" and last.input_key == input_key:
                    return last
            patch = int(versions[-1].rsplit(".", 1)[1]) + 1 if versions else 0
            record = Record(image, arch, f"{line}.{patch}", 0, "reserved", input_key, inputs, at=now(), by=actor())
            if self._store.create(_revision(record), dump(record)):
                return record
        raise ConflictError(f"cannot reserve a version of {image}: others take every number", where=self.location)

    def revise(self, record: Record, reason: str = "") -> Record:
        """Write `record` as the next revision of its version; ConflictError if somebody else wrote it first."""
        revised = replace(record, revision=record.revision + 1, at=now(), by=actor(), reason=reason)
        if not self._store.create(_revision(revised), dump(revised)):
            raise ConflictError(
                f"{record.image} {record.version} was changed by somebody else",
                where=f"{self.location}/{_revision(revised)}",
                hint="look at 'bakery catalog' and run again",
            )
        return revised

    def revoke(self, record: Record, reason: str) -> Record:
        """Say that a complete version must not be used any more; refused while a channel points at it.

        One that was revoked before stays as it is, with its first reason.
        """
        if record.state not in ("complete", "revoked"):
            raise BakeryError(
                f"{record.image} {record.version} is {record.state}: only a complete version can be revoked",
                hint="it cannot be promoted as it is",
            )
        if record.state == "complete":
            self._refuse_channels(record, "cannot be revoked")
            record = self.revise(replace(record, state="revoked"), reason)
        self._refuse_channels(record, "is revoked, and was promoted meanwhile")
        return record

    def _refuse_channels(self, record: Record, what: str) -> None:
        """Raise ConflictError if a channel points at a version."""
        image, arch = record.image, record.arch
        heads = [(name, self.channel(image, arch, name)) for name in self.channels(image, arch)]
        if pointing := [name for name, head in heads if head and head.version == record.version]:
            raise ConflictError(
                f"{image} {record.version} {what}: it is what {', '.join(pointing)} points at",
                where=self.location,
                hint=f"move that: 'bakery rollback {image} {pointing[0]}', or promote another version",
            )

    def built_on(self, record: Record) -> list[Record]:
        """Complete versions of other images that were built on this one's content, and those built on them."""
        known = [self.record(*image, version) for image in self.images() for version in self.versions(*image)]
        found = [record]
        for parent in found:  # grows meanwhile
            found += [
                child
                for child in known
                if child.state == "complete" and child.inputs.get("base") == parent.raw_sha256 and child not in found
            ]
        return found[1:]

    def channels(self, image: str, arch: str) -> list[str]:
        """Names of the channels of an image, sorted."""
        return sorted(self._store.list(_channels(image, arch)))

    def channel(self, image: str, arch: str, channel: str) -> ChannelEntry | None:
        """Where a channel points now; None if it was never set."""
        folder = f"{_channels(image, arch)}/{channel}"
        entries = self._numbered(folder)
        return self._read(ChannelEntry, f"{folder}/{entries[-1]}") if entries else None

    def history(self, image: str, arch: str, channel: str) -> list[ChannelEntry]:
        """Every step of a channel, oldest first."""
        folder = f"{_channels(image, arch)}/{channel}"
        return [self._read(ChannelEntry, f"{folder}/{name}") for name in self._numbered(folder)]

    def move(
        self,
        record: Record,
        channel: str,
        reason: str,
        before: ChannelEntry | None,
        pointers: tuple[Parameter, ...] = (),
    ) -> ChannelEntry:
        """Point `channel` at a complete version; ConflictError if it no longer stands at `before`."""
        if record.state != "complete":
            raise BakeryError(
                f"{record.image} {record.version} is {record.state}: only a complete version can be promoted",
                hint=f"run 'bakery run {record.image}', then promote",
            )
        number = before.number + 1 if before else 0
        entry = ChannelEntry(
            record.image,
            record.arch,
            channel,
            number,
            record.version,
            at=now(),
            by=actor(),
            reason=reason,
            pointers=pointers,
        )
        key = f"{_channels(record.image, record.arch)}/{channel}/{number:06d}.json"
        if not self._store.create(key, dump(entry)):
            raise ConflictError(
                f"channel {channel} of {record.image} was moved by somebody else",
                where=f"{self.location}/{key}",
                hint="look at 'bakery catalog' and run again",
            )
        return entry

    def _numbered(self, folder: str) -> list[str]:
        """Names of the revisions or entries in a folder, oldest first."""
        return sorted(filter(NUMBERED.match, self._store.list(folder)))

    def _read(self, kind: type[Document], key: str) -> Document:
        return parse(kind, self._store.read(key), f"{self.location}/{key}")


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def actor() -> str:
    """Who writes: the GitLab job when in CI, else user@host."""
    job = os.environ.get("CI_JOB_URL")
    if job:
        return job
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _versions(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/versions"


def _channels(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/channels"


def _revision(record: Record) -> str:
    return f"{_versions(record.image, record.arch)}/{record.version}/{record.revision:06d}.json"
