"""Decides what ended runs left at the targets of an image, and removes it.

A target lists all that carries the bakery's marks. The catalog says which of it is in use: it never forgets a version,
so a run of this catalog made nothing of a version that the catalog lacks. An image of the catalog that has no
definition any more is looked for at the targets of the other definitions.
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
from bakery.model.distribution import CloudDistribution
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
class SweepScope:
    """An image, and the definitions with the names of those of their targets at which it is looked for."""

    image: str
    arch: str
    searches: tuple[tuple[ImageDefinition, tuple[str, ...]], ...]

    @property
    def name(self) -> str:
        """The name of the image in messages, with its architecture if no definition has both."""
        own = any((definition.name, definition.arch) == (self.image, self.arch) for definition, _ in self.searches)
        return self.image if own else f"{self.image} {self.arch}"


@dataclass(frozen=True)
class SweepAction:
    """A resource at a target that is not in use, and what `bakery sweep` does about it.

    The target is that of `definition`: another image than `image` if that one has no definition any more.
    """

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
    definition: str
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


def list_scopes(session: Session, names: Sequence[str]) -> list[SweepScope]:
    """The images to sweep: those with some names, or all that have a definition or a version in the catalog.

    UsageError for a name that neither knows.
    """
    definitions = session.definitions.images
    pairs = session.catalog.images(names or None)
    catalog_names = {image for image, _ in pairs}
    own_names = [name for name in names if name in definitions or name not in catalog_names]
    own = session.definitions.select(own_names) if own_names or not names else []
    scopes = [SweepScope(image.name, image.arch, ((image, tuple(image.targets)),)) for image in own]
    defined = {(image.name, image.arch) for image in definitions.values()}
    searches = _list_searches(definitions.values())
    return scopes + [SweepScope(image, arch, searches) for image, arch in pairs if (image, arch) not in defined]


def _list_searches(
    definitions: Iterable[ImageDefinition],
) -> tuple[tuple[ImageDefinition, tuple[str, ...]], ...]:
    """The targets of all definitions, those with the same settings once."""
    earlier_settings: list[tuple[str, CloudDistribution | None]] = []
    searches: list[tuple[ImageDefinition, tuple[str, ...]]] = []
    for definition in definitions:
        settings = {name: definition.distribution.by_target.get(name) for name in definition.targets}
        new_names = tuple(name for name in settings if (name, settings[name]) not in earlier_settings)
        earlier_settings += [(name, settings[name]) for name in new_names]
        if new_names:
            searches.append((definition, new_names))
    return tuple(searches)


def plan_sweep(session: Session, scope: SweepScope) -> SweepPlan:
    """Look for what ended runs left at the targets of an image. Changes nothing."""
    actions: dict[tuple[str, Resource], SweepAction] = {}  # by target and resource: two settings may have one region
    failures: dict[str, BakeryError] = {}
    locations = 0
    with report_step(session.report, "sweep", scope.name, "look at its targets"):
        for definition, names in scope.searches:
            with open_targets(session, definition) as targets:
                for name in names:
                    label = f"{scope.name} {name}" + (f" of {definition.name}" if scope.searches[1:] else "")
                    try:
                        listing = targets[name].list_resources(scope.image, scope.arch)
                    except BakeryError as error:
                        failures[label] = error
                        continue
                    failures |= {f"{label} {location}": error for location, error in listing.failures.items()}
                    locations += len(listing.resources)
                    resources = [resource for part in listing.resources.values() for resource in part]
                    of = ImageVersion(scope.image, scope.arch, "")
                    for action in _decide_all(session, of, definition.name, name, resources):
                        actions.setdefault((name, action.resource), action)
    return SweepPlan(tuple(actions.values()), locations, failures)


def sweep_image(session: Session, actions: Iterable[SweepAction]) -> Swept:
    """Remove what a plan of one image removes, unless it came into use since.

    A run that publishes a version in this workspace keeps all of it.
    """
    removed: list[SweepAction] = []
    failures: dict[str, BakeryError] = {}
    by_version = sorted(actions, key=lambda action: (action.definition, action.target, action.version))
    for definition, of_definition in groupby(by_version, lambda action: action.definition):
        with open_targets(session, session.definitions.images[definition]) as targets:
            for (name, _), group in groupby(of_definition, lambda action: (action.target, action.version)):
                planned = list(group)
                try:
                    actual, errors = _remove_all(session, targets[name], planned)
                except BakeryError as error:
                    failures |= {action.name: error for action in planned}
                    continue
                removed += [action for action in actual if action.resource not in errors]
                failures |= {action.name: errors[action.resource] for action in actual if action.resource in errors}
    return Swept(tuple(removed), failures)


def _remove_all(
    session: Session, target: Target, planned: Sequence[SweepAction]
) -> tuple[list[SweepAction], Mapping[Resource, BakeryError]]:
    """Decide again about actions of one version at one target, and remove what is still not in use."""
    first = planned[0]
    of = ImageVersion(first.image, first.arch, first.version)
    with lock_version(session.project, of):
        resources = [action.resource for action in planned]
        latest = _decide_all(session, of, first.definition, first.target, resources)
        actual = [action for action in latest if action.outcome == "remove"]
        text = f"remove {count_of(len(actual), 'resource')} at {first.target}"
        with report_step(session.report, "sweep", full_name(of) if first.version else first.image, text):
            return actual, target.remove_resources([action.resource for action in actual])


def _decide_all(
    session: Session, of: ImageVersion, definition: str, target: str, resources: Iterable[Resource]
) -> Iterator[SweepAction]:
    """The actions for resources of an image at a target by what the catalog says now; none for those in use."""
    catalog, image, arch, at = session.catalog, of.image, of.arch, datetime.fromisoformat(now())
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
                definition,
            )
