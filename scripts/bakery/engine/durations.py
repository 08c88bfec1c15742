"""The seconds that the steps of a version took, from its documents, and the time that a run still needs."""

from collections.abc import Sequence

from bakery.catalog import Record
from bakery.host.text import estimate_duration
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, RemoteBuild, Verdict
from bakery.model.project import Project

BAKE, VERIFY, PUBLISH = "bake", "verify", "publish"


def read_seconds(project: Project, definition: ImageDefinition, record: Record) -> dict[str, float]:
    """Seconds by step: those of each publication, and of bake and test if all their documents are in the workspace."""
    folder = project.artifact_folder(record)
    builds = [project.build_folder(record, target) for target in definition.remote_targets]
    parts = [documents.find_valid(RemoteBuild, build / "build.json") for build in builds]
    disks = [documents.find_valid(Artifact, folder / "artifact.json")] if "qemu" in definition.builders else []
    folders = [*([folder] if disks else []), *builds]
    verdicts = [documents.find_valid(Verdict, path / "verdict.json") for path in folders]
    seconds = {BAKE: _add_seconds([*disks, *parts]), VERIFY: _add_seconds(verdicts)}
    seconds |= {f"{PUBLISH} {publication.target}": _add_seconds([publication]) for publication in record.publications}
    return {step: number for step, number in seconds.items() if number}


def expect_seconds(seconds: dict[str, float], *, bakes: bool) -> float | None:
    """The seconds that an image takes if its steps take as long as those of the last version; None if that is unknown.

    An image that is not baked is only published.
    """
    if bakes:
        return sum(seconds.values()) if BAKE in seconds else None
    return sum(number for step, number in seconds.items() if step.startswith(PUBLISH)) or None


def describe_rest(rests: Sequence[float | None], jobs: int) -> str:
    """The time left for images with these seconds left, `jobs` at a time; empty if it is short or unknown."""
    known_rests = [rest for rest in rests if rest is not None]
    # An image takes its time, however many others are worked on.
    seconds = max([sum(known_rests) / jobs, *known_rests])
    if seconds < 1:
        return ""
    text = estimate_duration(seconds)
    return f"about {text} left" if len(known_rests) == len(rests) else f"at least {text} left"


def _add_seconds(parts: Sequence[Artifact | RemoteBuild | Verdict | documents.Publication | None]) -> float:
    """All seconds of some documents; none if one of them is missing."""
    complete = [part for part in parts if part]
    if len(complete) < len(parts):
        return 0
    return sum(number for part in complete for number in part.seconds.values())
