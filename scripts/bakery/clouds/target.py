"""The methods of every target. Names contain the version, so a rerun finds resources by name and makes none twice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bakery.host.events import Reporter
from bakery.model.documents import Artifact, Pointer, Publication, RemoteBuild
from bakery.model.version import Versioned

Status = Literal["correct", "incorrect", "missing", "unreachable"]


@dataclass(frozen=True)
class Finding:
    """The result of one comparison for one location of a publication; `detail` names the difference."""

    location: str
    status: Status
    detail: str = ""


class Target(Protocol):
    """A final location of images. All methods raise BakeryError; `report` gets the progress."""

    def publish(self, artifact: Artifact, disk: Path, report: Reporter) -> Publication:
        """Publish the version in every location, and adopt resources of an earlier run; returns when all are usable."""

    def inspect(self, publication: Publication) -> list[Finding]:
        """Compare a publication with the target."""

    def point(self, publication: Publication, channel: str, report: Reporter) -> tuple[Pointer, ...]:
        """Move the channel's pointers to this version in every location, or in none."""

    def unpoint(self, publication: Publication, channel: str) -> None:
        """Remove the channel's pointers to this version, to undo the first entry of a channel."""


class RemoteTarget(Target, Protocol):
    """A target at which Packer can also build."""

    def prepare(self, of: Versioned) -> None:
        """Prepare a build of this version: make what it needs, and remove the images of an unfinished build.

        Packer removes its image when a copy fails, but not the finished copies. ConflictError if an image of that name
        is not one of an unfinished build.
        """

    def adopt(self, build: RemoteBuild, report: Reporter) -> Publication:
        """Adopt the image that Packer made here: finish its copies, set and verify all tags."""
