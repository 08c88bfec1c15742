"""Decides what ended runs left at the targets of an image, and removes it.

A target lists all that carries the bakery's marks. The catalog says which of it is in use: it never forgets a version,
so a run of this catalog made nothing of a version that the catalog lacks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from bakery.catalog import Record, is_expired, now
from bakery.clouds.target import Resource, ResourceKind, Target
from bakery.engine.publish import lock_version
from bakery.engine.session import Session
from bakery.engine.targets import open_targets
from bakery.host.errors import BakeryError
from bakery.host.events import report_step
from bakery.host.text import count_of
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Time
from bakery.model.naming import full_name
from bakery.model.version import ImageVersion

# A reservation lasts 6 h. Publishing may take several hours on top: an upload, and copies or replicas at each target.
LONGEST_RUN = timedelta(days=1)
# They are part of a run and never of a version.
TEMPORARY: frozenset[ResourceKind] = frozenset(
    ("instance", "resource group", "key pair", "security group", "upload", "file")
)

# A resource that is `unknown` stays: a run of another catalog may have made it.
Outcome = Literal["keep", "unknown", "remove"]


@dataclass(frozen=True)
class Decision:
    """The outcome for one resource, with its reason in words."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class SweepAction:
    """A resource at a target that is not in use, and what `bakery sweep` does about it."""

    image: str
    arch: str
    version: str
    target: str
    location: str
    kind: ResourceKind
    id: str
    since: Time
    outcome: Outcome
    reason: str
    schema: Literal["bakery/sweep-action/1"] = "bakery/sweep-action/1"

    @property
    def resource(self) -> Resource:
        """The resource as its target listed it."""
        return Resource(self.location, self.kind, self.id, self.version, self.since)

    @property
    def name(self) -> str:
        """The name of the resource in messages."""
        return f"{self.kind} {self.id} in {self.location}"


@dataclass(frozen=True)
class SweepPlan:
    """The actions for one image, the number of locations that answered, and the errors of those that did not."""

    actions: tuple[SweepAction, ...] = ()
    locations: int = 0
    failures: Mapping[str, BakeryError] = field(default_factory=dict)

    @property
    def removals(self) -> tuple[SweepAction, ...]:
        """The actions that remove something."""
        return tuple(action for action in self.actions if action.outcome == "remove")


@dataclass(frozen=True)
class Swept:
    """The actions that were done for one image, and the errors of the others."""

    removed: tuple[SweepAction, ...] = ()
    failures: Mapping[str, BakeryError] = field(default_factory=dict)


def decide(resource: Resource, record: Record | None, at: datetime) -> Decision:
    """Decide about a resource at a time. `record` is the newest one of its version, None if the catalog has none."""
    began = resource.since or (record.at if record else "")
    if began and at - datetime.fromisoformat(began) < LONGEST_RUN:
        return Decision("keep", f"it is from {began}: its run may be at work")
    if record is None:
        return _decide_without_record(resource)
    if record.state == "reserved":
        if is_expired(record):
            return Decision("remove", f"the reservation of {record.version} ended {record.expires or record.at}")
        return Decision("keep", f"{record.version} is reserved until {record.expires}")
    if record.state == "removed":
        return Decision("remove", f"{record.version} was removed")
    if resource.id.casefold() in _list_names(record):
        return Decision("keep", f"{record.version} is {record.state}")
    if resource.kind in TEMPORARY:
        return Decision("remove", f"the run that made {record.version} ended {record.at}")
    return Decision("remove", f"the record of {record.version}, which is {record.state}, does not name it")


def _decide_without_record(resource: Resource) -> Decision:
    if resource.kind in TEMPORARY and resource.since:
        return Decision("remove", f"it is from {resource.since}, and no run takes so long")
    if not resource.version:
        return Decision("unknown", "its marks name no version")
    return Decision("unknown", f"this catalog never had {resource.version}: is it the right one?")


def _list_names(record: Record) -> set[str]:
    """All that names an image of a version, in lower case: clouds may write IDs in any. Release 0.1 recorded paths."""
    names = {name.casefold() for name in record.identities}
    return names | {name.rpartition("/")[2] for name in names}


def plan_sweep(session: Session, definition: ImageDefinition) -> SweepPlan:
    """Look for what ended runs left at the targets of an image. Changes nothing."""
    actions: list[SweepAction] = []
    failures: dict[str, BakeryError] = {}
    locations = 0
    with (
        report_step(session.report, "sweep", definition.name, "look at its targets"),
        open_targets(session, definition) as targets,
    ):
        for name, target in targets.items():
            try:
                listing = target.list_resources(definition.name, definition.arch)
            except BakeryError as error:
                failures[f"{definition.name} {name}"] = error
                continue
            failures |= {f"{definition.name} {name} {location}": error for location, error in listing.failures.items()}
            locations += len(listing.resources)
            resources = [resource for part in listing.resources.values() for resource in part]
            actions += _decide_all(session, definition, name, resources)
    return SweepPlan(tuple(actions), locations, failures)


def sweep_image(session: Session, definition: ImageDefinition, actions: Iterable[SweepAction]) -> Swept:
    """Remove what a plan of this image removes, unless it came into use since.

    A run that publishes a version in this workspace keeps all of it.
    """
    removed: list[SweepAction] = []
    failures: dict[str, BakeryError] = {}
    by_version = sorted(actions, key=lambda action: (action.target, action.version))
    with open_targets(session, definition) as targets:
        for (name, _), group in groupby(by_version, lambda action: (action.target, action.version)):
            planned = list(group)
            try:
                actual, errors = _remove_all(session, definition, targets[name], planned)
            except BakeryError as error:
                failures |= {action.name: error for action in planned}
                continue
            removed += [action for action in actual if action.resource not in errors]
            failures |= {action.name: errors[action.resource] for action in actual if action.resource in errors}
    return Swept(tuple(removed), failures)


def _remove_all(
    session: Session, definition: ImageDefinition, target: Target, planned: Sequence[SweepAction]
) -> tuple[list[SweepAction], Mapping[Resource, BakeryError]]:
    """Decide again about actions of one version at one target, and remove what is still not in use."""
    first = planned[0]
    of = ImageVersion(definition.name, definition.arch, first.version)
    with lock_version(session.project, of):
        latest = _decide_all(session, definition, first.target, [action.resource for action in planned])
        actual = [action for action in latest if action.outcome == "remove"]
        text = f"remove {count_of(len(actual), 'resource')} at {first.target}"
        with report_step(session.report, "sweep", full_name(of) if first.version else definition.name, text):
            return actual, target.remove_resources([action.resource for action in actual])


def _decide_all(
    session: Session, definition: ImageDefinition, target: str, resources: Iterable[Resource]
) -> Iterator[SweepAction]:
    """The actions for resources at a target by what the catalog says now; none for those in use."""
    catalog, image, arch, at = session.catalog, definition.name, definition.arch, datetime.fromisoformat(now())
    versions = set(catalog.versions(image, arch))
    records: dict[str, Record | None] = {}
    for resource in resources:
        version = resource.version
        if version not in records:
            records[version] = catalog.record(ImageVersion(image, arch, version)) if version in versions else None
        decision = decide(resource, records[version], at)
        if decision.outcome != "keep":
            yield SweepAction(
                image,
                arch,
                version,
                target,
                resource.location,
                resource.kind,
                resource.id,
                resource.since,
                decision.outcome,
                decision.reason,
            )
