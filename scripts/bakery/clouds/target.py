"""The methods of every target. Names contain the version, so a rerun finds resources by name and makes none twice."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, get_args

from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.events import Reporter
from bakery.machine.block_list import BlockList
from bakery.model.documents import (
    Artifact,
    Availability,
    ImageLocation,
    Location,
    Pointer,
    Publication,
    RemoteBuild,
    Time,
)
from bakery.model.tags import Tags
from bakery.model.version import Versioned

Status = Literal["correct", "incorrect", "missing", "unexpected", "unreachable"]
# In the order in which they are removed: what depends on another goes first.
ResourceKind = Literal[
    "instance", "resource group", "key pair", "security group", "upload", "image", "snapshot", "disk", "file"
]


@dataclass(frozen=True)
class Finding:
    """The result of one comparison for one location of a publication; `detail` names the difference.

    A channel may move to a version in spite of what is `harmless`: nobody needs it to use the image.
    """

    location: str
    status: Status
    detail: str = ""
    harmless: bool = False


@dataclass(frozen=True)
class Use:
    """Something at a target that refers to an image of a version, such as an instance or a launch template.

    `kind` says what it is, `name` which one; a `launch` has no name, and happened at the time `at`.
    """

    location: str
    kind: str
    name: str
    image: str
    at: Time = ""


@dataclass(frozen=True)
class Resource:
    """Something at a target with the bakery's marks of an image; `kind` says in plain words what it is.

    `version` is empty if its marks name none, `since` if nobody knows when it was made or written last.
    """

    location: str
    kind: ResourceKind
    id: str
    version: str
    since: Time


@dataclass(frozen=True)
class Listing:
    """The resources in each location that answered, and the errors of those that did not."""

    resources: Mapping[str, Sequence[Resource]]
    failures: Mapping[str, BakeryError]


def format_since(time: datetime | None) -> str:
    """The `since` of a resource: whole seconds of UTC in ISO 8601; empty for an unknown time."""
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else ""


def remove_each(resources: Iterable[Resource], remove: Callable[[Resource], None]) -> dict[Resource, BakeryError]:
    """Remove resources in the order of their kinds; the errors of those that stay."""
    failures: dict[Resource, BakeryError] = {}
    order = get_args(ResourceKind)
    for resource in sorted(resources, key=lambda resource: order.index(resource.kind)):
        try:
            remove(resource)
        except BakeryError as error:
            failures[resource] = error
    return failures


def gone_error(message: str, where: str, image: str) -> NotFoundError:
    """The error for a version of an image that a target has lost."""
    hint = f"publish it from the workspace that baked it, or bake a new one: 'bakery run --rebuild {image}'"
    return NotFoundError(message, where=where, hint=hint)


@dataclass(frozen=True)
class EarlierDisk:
    """The disk of an earlier version at locations of a target, as a signed statement names it.

    `sha256` is of its raw bytes.
    """

    locations: Sequence[ImageLocation]
    sha256: str
    blocks: BlockList


class Target(Protocol):
    """A final location of images. All methods raise BakeryError; `report` gets the progress."""

    def publish(self, artifact: Artifact, disk: Path, report: Reporter) -> Publication:
        """Publish the version in every location, and adopt resources of an earlier run; returns when all are usable."""

    def distribute(self, publication: Publication, expected: Tags, report: Reporter) -> Publication:
        """Bring a published version wherever the definition wants it, from its images there, with these tags.

        Makes missing images again. NotFoundError if that takes the disk.
        """

    def withdraw(self, publication: Publication, locations: Collection[ImageLocation], report: Reporter) -> None:
        """Keep consumers in these locations from a version. No channel's pointer leads to it there any more."""

    def inspect(self, publication: Publication, availability: Availability = "available") -> list[Finding]:
        """Compare a publication with the target, where its images should have this availability."""

    def find_uses(self, publication: Publication) -> list[Use]:
        """The users of a version's images, as far as the target can say; the bakery's own pointers are none."""

    def set_availability(self, publication: Publication, availability: Availability, report: Reporter) -> None:
        """Bring the images of a version to an availability in every location; a rerun continues.

        Removed images are gone for good. `distribute` brings back what disabling took away, such as shares.
        """

    def wanted_locations(self) -> Collection[Location]:
        """The locations in which the definition wants a channel's pointers."""

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        """The value of a channel's pointer in each location while it points at this version."""

    def read_channel(self, of: Versioned, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        """The pointers of a channel of this image in the locations that have one, whatever they point at."""

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Reporter
    ) -> Mapping[Location, Pointer]:
        """Write the channel's pointers to this version in these locations, even if they are there already.

        Returns when the pointers have their values. If it fails, some have them, and some have not.
        """

    def unpoint(self, of: Versioned, channel: str, values: Mapping[Location, Collection[str]]) -> None:
        """Remove the pointers of a channel of this image in the locations where they have one of the values."""

    def list_resources(self, image: str, arch: str) -> Listing:
        """All that carries the bakery's marks of an image in the target's locations, but no pointer of a channel."""

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        """Remove what this target listed, and return the errors of those that stay; no error for what is gone."""


class RemoteTarget(Target, Protocol):
    """A target at which Packer can also build."""

    def prepare(self, of: Versioned) -> None:
        """Prepare a build of this version: make what it needs, and remove the images of an unfinished build.

        Packer removes its image when a copy fails, but not the finished copies. ConflictError if an image of that name
        is not one of an unfinished build.
        """

    def adopt(self, build: RemoteBuild, report: Reporter) -> Publication:
        """Adopt the image that Packer made here: finish its copies, set and verify all tags."""


class IncrementalTarget(Target, Protocol):
    """A target to which only the changed blocks of a disk are sent."""

    def publish(
        self, artifact: Artifact, disk: Path, report: Reporter, earlier: EarlierDisk | None = None
    ) -> Publication:
        """The same with the blocks that differ from an earlier disk, as long as the target still has that."""
