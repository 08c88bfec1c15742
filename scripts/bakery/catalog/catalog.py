"""Versions, their revisions and channels, on top of a store."""

import getpass
import gzip
import hashlib
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

from bakery.catalog.index import Index
from bakery.catalog.record import ChannelEntry, Failure, Record
from bakery.catalog.store import Store
from bakery.host.errors import BakeryError, ConflictError, NotFoundError
from bakery.model.contents import SBOM_SUFFIXES, Contents, FileList, SbomFormat
from bakery.model.documents import Document, Pointer, dump, parse
from bakery.model.observations import BaseObservation, Observation, Observations
from bakery.model.version import ImageVersion, Versioned
from bakery.model.vulnerabilities import VulnerabilityObservation, VulnerabilityReport

VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")  # three integers: Azure galleries accept nothing else
NUMBERED = re.compile(r"^\d{6}\.json$")  # sorts as text; other files in the folder are ignored
# Packer's time limit, and a boot and an upload on top: a bake that is still at work keeps its number.
RESERVATION = timedelta(hours=6)
RESTORE = "restore this file of the catalog from a backup"
WRITE_TRIES = 20  # writers that may take a number before us in one call; more means something is wrong


class Catalog:
    """The catalog of one store. Every method reads the current state; nothing is cached."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.location = store.location
        self.index = Index(store)

    def image_names(self) -> list[str]:
        """Names of all images that have at least one version, sorted."""
        return sorted(self._store.list("images"))

    def images(self) -> list[tuple[str, str]]:
        """All (image, arch) that have at least one version, sorted."""
        return [(name, arch) for name in self.image_names() for arch in sorted(self._store.list(f"images/{name}"))]

    def versions(self, image: str, arch: str) -> list[str]:
        """All versions, reserved ones included, oldest first."""
        return sorted(filter(VERSION.match, self._store.list(_versions_folder(image, arch))), key=version_numbers)

    def records(self, image: str, arch: str) -> list[Record]:
        """The newest revision of every version, oldest version first."""
        return [self.record(ImageVersion(image, arch, version)) for version in self.versions(image, arch)]

    def record(self, of: Versioned) -> Record:
        """The newest revision of a version; NotFoundError if there is none."""
        folder = f"{_versions_folder(of.image, of.arch)}/{of.version}"
        revisions = self._numbered_names(folder)
        if not revisions:
            versions = ", ".join(self.versions(of.image, of.arch)[-5:]) or "none"
            raise NotFoundError(
                f"{of.image} {of.version} ({of.arch}) is not in the catalog", hint=f"newest versions: {versions}"
            )
        return self._read_document(Record, f"{folder}/{revisions[-1]}")

    def newest(self, image: str, arch: str, release_line: str = "") -> Record | None:
        """The newest complete version, of the release line MAJOR.MINOR if given."""
        for version in reversed(self.versions(image, arch)):
            if version.startswith(f"{release_line}." if release_line else ""):
                record = self.record(ImageVersion(image, arch, version))
                if record.state == "complete":
                    return record
        return None

    def reserve(
        self,
        image: str,
        arch: str,
        release_line: str,
        input_key: str,
        inputs: Mapping[str, str],
        owner: str,
        due_since: str = "",
    ) -> Record:
        """Reserve the version that `owner` may bake from these inputs; no other owner gets its number.

        An owner gets its open reservation back, and takes over one of the same inputs that has expired, unless a later
        version is past its reservation, or its number was reserved before `due_since` (ISO 8601): the disk with that
        number may be as old. Otherwise it gets the next PATCH of the release line.
        """
        for _ in range(WRITE_TRIES):
            versions = [name for name in self.versions(image, arch) if name.startswith(f"{release_line}.")]
            newest_first = (self.record(ImageVersion(image, arch, version)) for version in reversed(versions))
            reserved = takewhile(lambda record: record.state == "reserved", newest_first)
            candidates = [
                record for record in reserved if record.input_key == input_key and self._is_as_new(record, due_since)
            ]
            if own := next((one for one in candidates if one.owner == owner and not is_expired(one)), None):
                return own
            if expired := next(filter(is_expired, candidates), None):
                if reservation := self._create_revision(_reserve_revision(expired, expired.revision + 1, owner)):
                    return reservation
                continue  # another writer was faster: look again
            patch = int(versions[-1].rsplit(".", 1)[1]) + 1 if versions else 0
            blank = Record(image, arch, f"{release_line}.{patch}", 0, "reserved", input_key, dict(inputs), at="", by="")
            if reservation := self._create_revision(_reserve_revision(blank, 0, owner)):
                return reservation
        raise ConflictError(
            f"cannot reserve a version of {image}: other writers take every number", where=self.location
        )

    def _is_as_new(self, record: Record, since: str) -> bool:
        """Whether the number of a version was reserved at a time or later; an empty time is older than all.

        The first revision says it: another owner may have taken the number over, with the disk of the first.
        """
        if not since:
            return True
        first = self._read_document(Record, _revision_key(replace(record, revision=0)))
        return datetime.fromisoformat(first.at) >= datetime.fromisoformat(since)

    def _create_revision(self, record: Record) -> Record | None:
        """The record if its revision is new in the store; None if another writer was faster."""
        return record if self._store.create(_revision_key(record), dump(record)) else None

    def revise(self, record: Record, reason: str = "") -> Record:
        """Write `record` as the next revision of its version; ConflictError if another writer was faster."""
        revised = replace(record, revision=record.revision + 1, at=now(), by=actor(), reason=reason)
        if revised.state == "complete":
            self.index.add_record(revised)
        if not self._create_revision(revised):
            raise ConflictError(
                f"{record.image} {record.version} was changed by another run",
                where=f"{self.location}/{_revision_key(revised)}",
                hint="look at 'bakery catalog' and run again",
            )
        return revised

    def keep_contents(
        self, contents: Contents, database: bytes, sboms: Mapping[SbomFormat, bytes], files: bytes = b""
    ) -> str:
        """Keep the contents of a version; the digest of their document.

        With them its package database, bills of materials and compressed list of files.
        """
        document = dump(contents)
        digest = hashlib.sha256(document).hexdigest()
        self._store.create(_contents_key(contents, digest), document)  # the name is the digest: what is there is equal
        self._store.create(_database_key(contents, contents.database), database)
        for name, sbom in sboms.items():
            self._store.create(_sbom_key(contents, name, contents.sboms[name]), sbom)
        if files:
            self._store.create(_files_key(contents, contents.files), files)
        return digest

    def contents(self, record: Record) -> Contents | None:
        """The contents of a version; None if they were not read."""
        if not record.contents:
            return None
        key = _contents_key(record, record.contents)
        return parse(Contents, self._read_intact(key, record.contents), f"{self.location}/{key}")

    def package_database(self, record: Record) -> bytes | None:
        """The archive of the package database of a version, a tar with gzip; None if it was not read."""
        contents = self.contents(record)
        return self._read_intact(_database_key(record, contents.database), contents.database) if contents else None

    def sbom(self, record: Record, name: SbomFormat) -> bytes | None:
        """A bill of materials of a version; None if none was written."""
        contents = self.contents(record)
        digest = contents.sboms.get(name) if contents else None
        return self._read_intact(_sbom_key(record, name, digest), digest) if digest else None

    def files(self, of: Versioned, contents: Contents) -> FileList | None:
        """The files of a version; None if an older bakery wrote its contents."""
        if not contents.files:
            return None
        key = _files_key(of, contents.files)
        packed = self._read_intact(key, contents.files)
        return parse(FileList, gzip.decompress(packed), f"{self.location}/{key}")

    def keep_vulnerabilities(self, report: VulnerabilityReport, digest: str) -> None:
        """Keep the vulnerabilities of a version; `digest` is the SHA-256 of their document."""
        self._store.create(_vulnerabilities_key(report, digest), dump(report))

    def vulnerabilities(self, of: Versioned, digest: str) -> VulnerabilityReport:
        """The vulnerabilities of a version that were kept with this digest."""
        key = _vulnerabilities_key(of, digest)
        return parse(VulnerabilityReport, self._read_intact(key, digest), f"{self.location}/{key}")

    def keep_vex(self, of: Versioned, document: bytes, digest: str) -> None:
        """Keep the OpenVEX document of a version; `digest` is its SHA-256."""
        self._store.create(_vex_key(of, digest), document)

    def vex(self, record: Record) -> bytes | None:
        """The OpenVEX document of a version; None if it ignores no vulnerability."""
        return self._read_intact(_vex_key(record, record.vex), record.vex) if record.vex else None

    def keep_observations(
        self,
        observations: Iterable[Observation],
        vulnerabilities: Iterable[VulnerabilityObservation] = (),
        bases: Iterable[BaseObservation] = (),
    ) -> Observations:
        """Keep observations, and the newest ones of all other images with them."""
        newer, matched, newest_bases = tuple(observations), tuple(vulnerabilities), tuple(bases)
        for _ in range(WRITE_TRIES):
            newest = self.newest_observations()
            number = newest.number + 1 if newest.at else 0
            document = Observations(
                number,
                now(),
                actor(),
                newest.merge(newer),
                newest.merge_vulnerabilities(matched),
                newest.merge_bases(newest_bases),
            )
            if self._store.create(f"observations/{number:06d}.json", dump(document)):
                return document
        raise ConflictError("cannot keep observations: other writers take every number", where=self.location)

    def newest_observations(self) -> Observations:
        """The observations of the last refresh; none if there was no refresh."""
        documents = self._numbered_names("observations")
        return self._read_document(Observations, f"observations/{documents[-1]}") if documents else Observations()

    def keep_failure(self, image: str, arch: str, step: str, input_key: str, message: str) -> Failure:
        """Keep a failure of an image under its next number."""
        folder = _failures_folder(image, arch)
        for _ in range(WRITE_TRIES):
            names = self._numbered_names(folder)
            number = int(names[-1].removesuffix(".json")) + 1 if names else 0
            failure = Failure(image, arch, number, step, input_key, message, at=now(), by=actor())
            if self._store.create(f"{folder}/{number:06d}.json", dump(failure)):
                return failure
        raise ConflictError("cannot keep a failure: other writers take every number", where=self.location)

    def failures_since(self, image: str, arch: str, record: Record | None) -> tuple[Failure, ...]:
        """The failures of an image after a record was written, or all, oldest first."""
        folder = _failures_folder(image, arch)
        newest_first = (
            self._read_document(Failure, f"{folder}/{name}") for name in reversed(self._numbered_names(folder))
        )
        since = record.at if record else ""
        return tuple(takewhile(lambda failure: failure.at > since, newest_first))[::-1]

    def _read_intact(self, key: str, sha256: str) -> bytes:
        data = self._store.read(key)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BakeryError(
                "the bytes are not those that the record names",
                where=f"{self.location}/{key}",
                hint=f"it is damaged: {RESTORE}",
            )
        return data

    def revoke(self, record: Record, reason: str) -> Record:
        """Revoke a complete version for good; refused while a channel points at it.

        A revoked version keeps its first reason.
        """
        if record.state not in ("complete", "revoked"):
            raise BakeryError(
                f"{record.image} {record.version} is {record.state}: only a complete version can be revoked",
                hint="it cannot be promoted",
            )
        if record.state == "complete":
            self._refuse_channels(record, "cannot be revoked")
            record = self.revise(replace(record, state="revoked"), reason)
        self._refuse_channels(record, "is revoked, but was promoted meanwhile")
        return record

    def _refuse_channels(self, record: Record, what: str) -> None:
        """Raise ConflictError if a channel points at a version."""
        if names := self.channels_at(record):
            raise ConflictError(
                f"{record.image} {record.version} {what}: {', '.join(names)} points at it",
                where=self.location,
                hint=f"move the channel: 'bakery rollback {record.image} {names[0]}', or promote another version",
            )

    def channels(self, image: str, arch: str) -> list[str]:
        """Names of the channels of an image, sorted."""
        return sorted(self._store.list(_channels_folder(image, arch)))

    def channel(self, image: str, arch: str, channel: str) -> ChannelEntry | None:
        """The newest entry of a channel; None if it was never set."""
        folder = f"{_channels_folder(image, arch)}/{channel}"
        entries = self._numbered_names(folder)
        return self._read_document(ChannelEntry, f"{folder}/{entries[-1]}") if entries else None

    def channels_at(self, record: Record) -> list[str]:
        """Names of the channels that point at a version, sorted."""
        heads = [
            (name, self.channel(record.image, record.arch, name)) for name in self.channels(record.image, record.arch)
        ]
        return [name for name, head in heads if head and head.version == record.version]

    def history(self, image: str, arch: str, channel: str) -> list[ChannelEntry]:
        """Every step of a channel, oldest first."""
        folder = f"{_channels_folder(image, arch)}/{channel}"
        return [self._read_document(ChannelEntry, f"{folder}/{name}") for name in self._numbered_names(folder)]

    def move(
        self,
        record: Record,
        channel: str,
        reason: str,
        before: ChannelEntry | None,
        pointers: tuple[Pointer, ...] = (),
    ) -> ChannelEntry:
        """Point `channel` at a complete version; ConflictError if it does not point at `before` any more."""
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
        self.index.add_channel(entry)
        key = f"{_channels_folder(record.image, record.arch)}/{channel}/{number:06d}.json"
        if not self._store.create(key, dump(entry)):
            raise ConflictError(
                f"channel {channel} of {record.image} was moved by another run",
                where=f"{self.location}/{key}",
                hint="look at 'bakery catalog' and run again",
            )
        return entry

    def _numbered_names(self, folder: str) -> list[str]:
        """Names of the revisions or entries in a folder, oldest first."""
        return sorted(filter(NUMBERED.match, self._store.list(folder)))

    def _read_document(self, kind: type[Document], key: str) -> Document:
        return parse(kind, self._store.read(key), f"{self.location}/{key}", RESTORE)


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def owner(workspace: Path) -> str:
    """The owner of reservations: all jobs of one GitLab pipeline together, else one workspace of one machine."""
    return os.environ.get("CI_PIPELINE_URL") or f"{actor()}:{workspace}"


def actor() -> str:
    """The writer: the GitLab job in CI, otherwise user@host."""
    job = os.environ.get("CI_JOB_URL")
    if job:
        return job
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _reserve_revision(record: Record, revision: int, owner: str) -> Record:
    """A revision of the record that reserves its version for an owner, starting now."""
    expires = (datetime.now(UTC) + RESERVATION).isoformat(timespec="seconds")
    return replace(record, revision=revision, at=now(), by=actor(), owner=owner, expires=expires)


def is_expired(record: Record) -> bool:
    """Whether the reservation has expired. Releases that knew no owners wrote reservations without an end."""
    return not record.expires or datetime.fromisoformat(record.expires) <= datetime.now(UTC)


def version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _versions_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/versions"


def _channels_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/channels"


def _failures_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/failures"


def _contents_key(of: Versioned, sha256: str) -> str:
    return f"{_versions_folder(of.image, of.arch)}/{of.version}/contents-{sha256}.json"


def _database_key(of: Versioned, sha256: str) -> str:
    return f"{_versions_folder(of.image, of.arch)}/{of.version}/packages-{sha256}.tar.gz"


def _sbom_key(of: Versioned, name: SbomFormat, sha256: str) -> str:
    return f"{_versions_folder(of.image, of.arch)}/{of.version}/sbom-{sha256}.{SBOM_SUFFIXES[name]}"


def _files_key(of: Versioned, sha256: str) -> str:
    return f"{_versions_folder(of.image, of.arch)}/{of.version}/files-{sha256}.json.gz"


def _vulnerabilities_key(of: Versioned, sha256: str) -> str:
    return f"{_versions_folder(of.image, of.arch)}/{of.version}/vulnerabilities-{sha256}.json"


def _vex_key(of: Versioned, sha256: str) -> str:
    return f"{_versions_folder(of.image, of.arch)}/{of.version}/vex-{sha256}.json"


def _revision_key(record: Record) -> str:
    return f"{_versions_folder(record.image, record.arch)}/{record.version}/{record.revision:06d}.json"
