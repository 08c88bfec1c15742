"""The facts that the catalog holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bakery.model.documents import (
    Availability,
    Base,
    Location,
    Mode,
    Pointer,
    Publication,
    Strict,
    Time,
    VendorBase,
    VulnerabilitySummary,
)

State = Literal["reserved", "complete", "deprecated", "disabled", "removed", "revoked"]

# What the images of a version should let people do, by its state.
AVAILABILITY: Mapping[State, Availability] = {
    "complete": "available",
    "deprecated": "deprecated",
    "disabled": "disabled",
    "revoked": "disabled",
    "removed": "removed",
}


@dataclass(frozen=True)
class Record(Strict):
    """One revision of one version. `sha256` is of the disk file, empty while the version is only reserved.

    `size` is that of the disk's content in bytes, 0 if Packer built it at a target or an older release wrote this.
    `at` and `by` are about this revision, `baked` is about the disk. While the version is reserved, `owner` may bake it
    until `expires`; of a version that a person restored, `owner` is `retention SHA-256`, the policy that passes over
    it. `contents` is the SHA-256 of the version's `contents.json`, empty if its disk could not be read.
    `content_digest` is that of its contents.
    `vulnerabilities` and `vex` are the verdict's. `vendor_bases` are the bases of vendors that it was built from, the
    newest ones then, by builder. `provenance` is the SHA-256 of the signed statement about the version, empty if none
    was made. While it is `pending`, its images may not be as its state says: a run changes them, or was interrupted.
    """

    image: str
    arch: str
    version: str
    revision: int
    state: State
    input_key: str
    inputs: dict[str, str]
    at: Time
    by: str
    reason: str = ""
    owner: str = ""
    expires: Time = ""
    mode: Mode = "vm"
    os: str = ""
    sha256: str = ""
    raw_sha256: str = ""
    size: int = 0
    contents: str = ""
    content_digest: str = ""
    base: Base | None = None
    baked: Time = ""
    commit: str = ""
    tools: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    publications: tuple[Publication, ...] = ()
    checks: int = 0
    vulnerabilities: VulnerabilitySummary | None = None
    vex: str = ""
    vendor_bases: dict[str, VendorBase] = field(default_factory=dict)
    provenance: str = ""
    pending: bool = False
    schema: Literal["bakery/record/1"] = "bakery/record/1"

    @property
    def identities(self) -> tuple[str, ...]:
        """All by which somebody may ask for it: its digests, its input key, IDs of images and snapshots, pointers."""
        names = [self.sha256, self.raw_sha256, self.input_key]
        for publication in self.publications:
            locations = (*publication.locations, *publication.withdrawn)
            names += [text for location in locations for text in (location.id, location.snapshot)]
            names += [pointer.name for pointer in publication.pointers]
        return tuple(sorted({*names} - {""}))

    @property
    def content(self) -> str:
        """The digest by which its children count it: of its files, or of its disk's bytes if that is not known."""
        return self.content_digest or self.raw_sha256

    def is_base(self, digest: str) -> bool:
        """Whether a version whose base has a digest was built on this content, or on a disk that is equal."""
        return digest in (self.content_digest, self.raw_sha256) and bool(digest)

    def publication(self, target: str) -> Publication | None:
        """This version's publication at a target, if it has one."""
        return next((publication for publication in self.publications if publication.target == target), None)


@dataclass(frozen=True)
class ListedVersion(Record):
    """The record of a version, and the channels that point at it."""

    channels: tuple[str, ...] = ()
    schema: Literal["bakery/listed-version/1"] = "bakery/listed-version/1"  # type: ignore[assignment]

    @classmethod
    def of(cls, record: Record, channels: Iterable[str]) -> "ListedVersion":
        """A record with its channels."""
        facts = {name: value for name, value in vars(record).items() if name != "schema"}
        return cls(**facts, channels=tuple(channels))


@dataclass(frozen=True)
class Failure(Strict):
    """A step (check, bake, verify or publish) of an image that failed; `number` counts the failures of the image."""

    image: str
    arch: str
    number: int
    step: str
    input_key: str
    message: str
    at: Time
    by: str
    schema: Literal["bakery/failure/1"] = "bakery/failure/1"


@dataclass(frozen=True)
class ChannelEntry(Strict):
    """One step in a channel's history; `pointers` are the targets' pointers that moved with it.

    `version` is empty if the step deleted the channel. While it is `held`, no run moves the channel: a person pointed
    it at an older version.
    """

    image: str
    arch: str
    channel: str
    number: int
    version: str
    at: Time
    by: str
    reason: str
    pointers: tuple[Pointer, ...] = ()
    held: bool = False
    schema: Literal["bakery/channel/1"] = "bakery/channel/1"


@dataclass(frozen=True)
class PointerChange(Strict):
    """A pointer of a channel at a target, and its values before and after a move; empty where there is none."""

    target: str
    account: str
    region: str
    before: str
    after: str

    @property
    def location(self) -> Location:
        return Location(self.account, self.region)


@dataclass(frozen=True)
class Move(Strict):
    """A line in the journal of a channel: a move that began, or how it ended. `number` counts the lines.

    The line is there before a pointer changes, so that the next run can finish the move of a run that was killed, or
    take it back. `owner` alone continues the move until `expires`. It points the channel at `version` in place of
    `before`, each empty for none, and writes the channel's entry with the number `entry`.
    """

    image: str
    arch: str
    channel: str
    number: int
    state: Literal["begun", "done", "undone"]
    entry: int
    before: str
    version: str
    changes: tuple[PointerChange, ...]
    at: Time
    by: str
    reason: str
    owner: str
    expires: Time
    held: bool = False
    schema: Literal["bakery/move/1"] = "bakery/move/1"


@dataclass(frozen=True)
class Snapshot(Strict):
    """The heads of all images at one time. `sha256` is of its content, which has an object of its own.

    `full_read` is the time when the records of all images were read last.
    """

    number: int
    sha256: str
    full_read: Time
    at: Time
    by: str
    schema: Literal["bakery/snapshot/1"] = "bakery/snapshot/1"
