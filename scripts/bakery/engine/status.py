"""The state of each image: its newest version, the updates that it lacks, and the channels that lag behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from bakery.catalog import Failure, Record
from bakery.engine.session import Session
from bakery.engine.updates import count_security, is_old
from bakery.engine.vendor_bases import BaseState, compare_bases, find_old_time
from bakery.model.definition import ImageDefinition
from bakery.model.documents import PackageVersions, Strict
from bakery.model.observations import Observations
from bakery.model.version import ImageVersion
from bakery.model.vulnerabilities import Vulnerability, VulnerabilityObservation


@dataclass(frozen=True)
class ImageStatus(Strict):
    """One image; `version` is the newest complete one, empty if there is none.

    `updates` counts packages with an update, and is None if it is unknown; `security`, `unclassified` and `held` count
    parts of them. Updates that may or may not be for security are `unclassified`; `security` is None if there are only
    such. `behind` has the versions that channels point at instead, `failures` are those since that version, oldest
    first. Times are in ISO 8601. `old`, `matches_old` and `bases_old` say that the last refresh of updates, `matches`
    or `bases` is too long ago. `matches` is None if no database was asked; `vulnerabilities` lists them on request.
    `bases` are those of vendors, each with the newest one.
    """

    image: str
    arch: str
    version: str = ""
    baked: str = ""
    updates: int | None = None
    security: int | None = None
    held: int | None = None
    behind: Mapping[str, str] = field(default_factory=dict)
    refreshed: str = ""
    old: bool = False
    failures: tuple[Failure, ...] = ()
    unclassified: int = 0
    matches: VulnerabilityObservation | None = None
    matches_old: bool = False
    vulnerabilities: tuple[Vulnerability, ...] | None = None
    package_versions: PackageVersions = "track"
    bases: tuple[BaseState, ...] = ()
    bases_old: bool = False

    @property
    def has_lock(self) -> bool:
        """Whether its updates come with `bakery update`."""
        return self.package_versions != "track"


@dataclass(frozen=True)
class Status(Strict):
    """All images, the most urgent first: updates for security, vulnerabilities, unknown updates, other updates, age."""

    at: str
    images: tuple[ImageStatus, ...]
    schema: Literal["bakery/status/1"] = "bakery/status/1"

    @property
    def insecure(self) -> tuple[ImageStatus, ...]:
        """Images that lack a security update."""
        return tuple(image for image in self.images if image.security)

    @property
    def unknown(self) -> tuple[ImageStatus, ...]:
        """Images whose updates are unknown, or whose last refresh is too old."""
        return tuple(image for image in self.images if image.version and (image.updates is None or image.old))

    @property
    def unclassified(self) -> tuple[ImageStatus, ...]:
        """Images with updates that may or may not be for security."""
        return tuple(image for image in self.images if image.unclassified)


def describe_images(
    session: Session, names: list[str] | None, max_age: timedelta, with_vulnerabilities: bool = False
) -> Status:
    """The state of the named images, or of all; with each vulnerability on request."""
    now = datetime.now(UTC)
    observations = session.catalog.newest_observations()
    matches = observations.vulnerabilities_by_version
    images = [
        _add_matches(_describe_image(session, image, observations, now, max_age), matches, now, max_age)
        for image in session.definitions.select(names or [])
    ]
    if with_vulnerabilities:
        images = [_add_vulnerabilities(session, image) for image in images]
    return Status(now.isoformat(timespec="seconds"), tuple(sorted(images, key=_urgency)))


def _describe_image(
    session: Session,
    image: ImageDefinition,
    observations: Observations,
    now: datetime,
    max_age: timedelta,
) -> ImageStatus:
    record = session.newest_record(image)
    failures = session.catalog.failures_since(image.name, image.arch, record)
    if record is None:
        return ImageStatus(image.name, image.arch, failures=failures, package_versions=image.package_versions)
    behind = _list_behind(session, record)
    bases = compare_bases(image, record, observations.bases_by_key)
    status = ImageStatus(
        image.name,
        image.arch,
        record.version,
        record.baked,
        behind=behind,
        failures=failures,
        package_versions=image.package_versions,
        bases=bases,
        bases_old=bool(find_old_time(bases, now, max_age)),
    )
    observation = observations.by_version.get(ImageVersion.of(record))
    if observation is None:
        return status
    held = observation.upgrade.held
    updates = (*observation.upgrade.updates, *held)
    security, unclassified = count_security(updates)
    return replace(
        status,
        updates=len(updates),
        security=security,
        held=len(held),
        refreshed=observation.at,
        old=is_old(observation, now, max_age),
        unclassified=unclassified,
    )


def _add_matches(
    status: ImageStatus,
    matches: Mapping[ImageVersion, VulnerabilityObservation],
    now: datetime,
    max_age: timedelta,
) -> ImageStatus:
    newest = matches.get(ImageVersion.of(status))
    return replace(status, matches=newest, matches_old=is_old(newest, now, max_age)) if newest else status


def _add_vulnerabilities(session: Session, status: ImageStatus) -> ImageStatus:
    if status.matches is None:
        return status
    report = session.catalog.vulnerabilities(status, status.matches.summary.report)
    return replace(status, vulnerabilities=report.vulnerabilities)


def _list_behind(session: Session, record: Record) -> dict[str, str]:
    """Channels that point at another version than the newest one."""
    heads = session.catalog.heads(record.image, record.arch)
    return {head.channel: head.version for head in heads if head.version != record.version}


def _urgency(status: ImageStatus) -> tuple[object, ...]:
    """The order of rows; an image without a version comes last."""
    summary = status.matches.summary if status.matches else None
    return (
        not status.version,
        -(status.security or 0),
        *(-summary.count(severity) if summary else 0 for severity in ("critical", "high")),
        status.security is not None,
        not any(state.since for state in status.bases),
        -(status.updates or 0),
        status.baked,
        status.image,
    )
