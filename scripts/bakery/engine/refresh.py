"""Observe which updates the newest versions have, and keep that in the catalog for every plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bakery.catalog import Record, now
from bakery.engine.notices import announce_vulnerabilities
from bakery.engine.session import Session
from bakery.engine.vendor_lookup import observe_bases
from bakery.engine.vulnerabilities import observe_vulnerabilities
from bakery.host import files, parallel
from bakery.host.events import Event, report_step
from bakery.host.parallel import Outcome
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.observations import BaseObservation, Observation, Observations
from bakery.model.version import ImageVersion
from bakery.model.vulnerabilities import VulnerabilityObservation
from bakery.refresh import Archives, UnknownPackagesError, observe_updates


@dataclass(frozen=True)
class Refresh:
    """The kept observations, and the outcome of each image that was asked for; without a result, it has none.

    `matches` are the outcomes of versions whose packages were matched with a vulnerability database. `questions` are
    those of asking vendors for their newest bases, and `bases` the answers for each image.
    """

    observations: Observations
    outcomes: Sequence[Outcome[Observation | None]]
    matches: Sequence[Outcome[VulnerabilityObservation | None]]
    questions: Sequence[Outcome[VendorBase | None]]
    bases: Sequence[BaseObservation]


def refresh_images(session: Session, names: list[str] | None, jobs: int) -> Refresh:
    """Observe the newest complete version of the named images, or of all."""
    images = {image.name: image for image in session.definitions.select(names or [])}
    previous = session.catalog.newest_observations()
    with files.scratch(session.project.cache, "refresh") as scratch:
        archives = Archives(session.project.cache / "archives", scratch)
        last = previous.by_version
        work = partial(_observe_image, session, images, last, archives)
        outcomes = parallel.run_parallel(list(images), work, jobs)
        archives.remove_unused()
    questions, bases = observe_bases(session, images.values(), previous, jobs)
    matches = observe_vulnerabilities(session, images.values(), previous, jobs)
    observations = [outcome.result for outcome in outcomes if outcome.result]
    vulnerabilities = [outcome.result for outcome in matches if outcome.result]
    newest = previous
    if observations or vulnerabilities or bases:
        newest = session.catalog.keep_observations(observations, vulnerabilities, bases)
        announce_vulnerabilities(session, previous, vulnerabilities)
    return Refresh(newest, outcomes, matches, questions, bases)


def _observe_image(
    session: Session,
    images: Mapping[str, ImageDefinition],
    last: Mapping[ImageVersion, Observation],
    archives: Archives,
    name: str,
) -> Observation | None:
    """The observation of an image's newest version; None, with a note, if its packages are unknown."""
    record = session.newest_record(images[name])
    try:
        return _observe_record(session, record, last, archives)
    except UnknownPackagesError as error:
        subject = f"{name} {record.version}" if record else name
        session.report(Event("note", "refresh", subject, f"unknown: {error.message}"))
        return None


def _observe_record(
    session: Session, record: Record | None, last: Mapping[ImageVersion, Observation], archives: Archives
) -> Observation:
    if record is None:
        raise UnknownPackagesError("it has no complete version")
    version = ImageVersion.of(record)
    known = last.get(version)
    if known and all(archives.state_of(archive.identity) == archive for archive in known.archives):
        return replace(known, at=now())  # equal packages and archives give equal updates
    database = session.catalog.package_database(record)
    if database is None:
        raise UnknownPackagesError("its disk was not read")
    with report_step(session.report, "refresh", f"{record.image} {record.version}", "ask the package archives"):
        states, upgrade = observe_updates(database, archives)
    at = now()
    since = known.since or known.at if known and known.upgrade == upgrade else at
    return Observation(record.image, record.arch, record.version, at, states, upgrade, since)
