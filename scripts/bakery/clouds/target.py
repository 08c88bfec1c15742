"""The methods of every target. Names carry the version, so a rerun finds by name and makes nothing twice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bakery.host.events import Reporter
from bakery.model.documents import Artifact, Pointer, Publication, RemoteBuild
from bakery.model.version import Versioned

Status = Literal["correct", "incorrect", "missing", "unreachable"]


@dataclass(frozen=True)
class Finding:
    """The result of one comparison for one place of a publication; `detail` names what differs."""

    place: str
    status: Status
    detail: str = ""


class Target(Protocol):
    """A final location of images. All methods raise BakeryError; `report` gets the progress."""

    def publish(self, artifact: Artifact, disk: Path, report: Reporter) -> Publication:
        """Bring the version to every place, adopting what an earlier run left; returns when all of it is usable."""

    def inspect(self, publication: Publication) -> list[Finding]:
        """Compare what a publication says with what is there."""

    def point(self, publication: Publication, channel: str, report: Reporter) -> tuple[Pointer, ...]:
        """Move the channel's pointers to this version in every place, or in none."""

    def unpoint(self, publication: Publication, channel: str) -> None:
        """Remove the channel's pointers that hold this version: the undoing of a channel's first step."""


class RemoteTarget(Target, Protocol):
    """A target where Packer can build, too."""

    def prepare(self, of: Versioned) -> None:
        """Make way for a build of this version: make what it needs, remove what an unfinished build left.

        Packer takes its image back when a copy fails, but leaves the finished copies where they are. ConflictError if
        what is there was not left by an unfinished build.
        """

    def adopt(self, build: RemoteBuild, report: Reporter) -> Publication:
        """Take over the image that Packer made here: finish its copies, set and verify all tags."""
