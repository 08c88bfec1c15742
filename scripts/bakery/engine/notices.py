"""Notices about images: what runs and people did to them, and what is found out about them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bakery.catalog import ChannelEntry, Failure, Record
from bakery.catalog.record import State
from bakery.engine.notifications import ALL_IMAGES, NoticeKind, join_names, make_notice
from bakery.engine.overview import compare_records, find_previous
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, render_error
from bakery.host.events import Event
from bakery.host.text import count_of
from bakery.model.definition import ImageDefinition
from bakery.model.observations import Observations
from bakery.model.version import ImageVersion, Versioned
from bakery.model.vulnerabilities import Vulnerability, VulnerabilityObservation

_STATE_NOTICES: Mapping[State, NoticeKind] = {
    "complete": "restored",
    "deprecated": "retired",
    "disabled": "retired",
    "removed": "retired",
    "revoked": "revoked",
}


def announce_version(session: Session, record: Record, channel: str) -> None:
    """Send a notice that a version was published, and that its channel, if it has one, points at it."""
    if not session.notifier:
        return
    with _failures_as_notes(session, record.image):
        previous = find_previous(session.catalog, record)
        title = f"{record.image} {record.version} is published" + (f", and {channel} points at it" if channel else "")
        changes = _describe_changes(session, previous, record) if previous else ["the first version"]
        verb = f"bakery compare {record.image}@{record.version}"
        session.notifier.send(
            make_notice("patched", record.image, record.arch, record.version, title, tuple(changes), verb),
            session.report,
        )


def announce_state(session: Session, record: Record) -> None:
    """Send a notice that a version was revoked, retired or restored."""
    kind = _STATE_NOTICES.get(record.state)
    if not session.notifier or kind is None:
        return
    title = f"{record.image} {record.version} is {record.state}" + (" again" if record.state == "complete" else "")
    details = (record.reason, record.by)
    session.notifier.send(make_notice(kind, record.image, record.arch, record.version, title, details), session.report)


def announce_move(session: Session, entry: ChannelEntry, before: str) -> None:
    """Send a notice that a person moved, held, released or deleted a channel."""
    if not session.notifier:
        return
    to = f"{entry.version}{', held' if entry.held else ''}" if entry.version else "deleted"
    title = f"{entry.image} {entry.channel}: {before or 'nothing'} -> {to}"
    details = (entry.reason, entry.by)
    session.notifier.send(make_notice("moved", entry.image, entry.arch, entry.version, title, details), session.report)


def announce_repair(session: Session, image: str, arch: str, lines: Sequence[str]) -> None:
    """Send a notice that an audit repaired what differed from the catalog; a line for each difference."""
    if session.notifier:
        title = f"{image}: {count_of(len(lines), 'difference')} from the catalog repaired"
        session.notifier.send(
            make_notice("repaired", image, arch, "", title, tuple(lines), f"bakery audit {image}"), session.report
        )


def announce_failure(session: Session, image: ImageDefinition, failure: Failure) -> None:
    """Send a notice that a step of an image failed, and another one if this failure pauses the image."""
    if not session.notifier:
        return
    with _failures_as_notes(session, image.name):
        newest = session.newest_record(image)
        version = newest.version if newest else ""
        title = f"{image.name}: {failure.step} failed: {failure.message}"
        session.notifier.send(
            make_notice("failed", image.name, image.arch, version, title, (failure.by,)), session.report
        )
        failures = session.catalog.failures_since(image.name, image.arch, newest)
        count = sum(other.input_key == failure.input_key and other.number <= failure.number for other in failures)
        if count == image.max_failures:
            title = f"{image.name} is paused after {count_of(count, 'failure')} with the same inputs"
            hint = f"fix the cause, or try the same inputs again with 'bakery run --rebuild {image.name}'"
            session.notifier.send(
                make_notice("paused", image.name, image.arch, version, title, (failure.message, hint)), session.report
            )


def announce_stop(session: Session, images: Sequence[str], errors: Sequence[BakeryError]) -> None:
    """Send one notice that nothing was begun for some images, since their run lacks something."""
    if not session.notifier:
        return
    title = f"nothing was begun for {join_names(images)}: {errors[0].message}"
    lines = tuple(line for error in errors for line in render_error(error).splitlines())
    session.notifier.send(make_notice("stopped", ALL_IMAGES, "", "", title, lines, "bakery run"), session.report)


def announce_vulnerabilities(
    session: Session, before: Observations, matches: Sequence[VulnerabilityObservation]
) -> None:
    """Send a notice of each published version with critical vulnerabilities that earlier observations lack."""
    for match in matches if session.notifier else ():
        with _failures_as_notes(session, match.image):
            new_vulnerabilities = _find_new_vulnerabilities(session, before, match)
            if not new_vulnerabilities:
                continue
            number = len(new_vulnerabilities)
            count = "a new critical vulnerability" if number == 1 else f"{number} new critical vulnerabilities"
            session.notifier.send(
                make_notice(
                    "vulnerable",
                    match.image,
                    match.arch,
                    match.version,
                    f"{match.image} {match.version} has {count}",
                    tuple(_describe_vulnerability(*item) for item in sorted(new_vulnerabilities.items())),
                    f"bakery status {match.image} --json",
                ),
                session.report,
            )


@contextmanager
def _failures_as_notes(session: Session, image: str) -> Iterator[None]:
    """Report an error as a note: the work that the notice is about is done."""
    try:
        yield
    except BakeryError as error:
        session.report(Event("note", "notify", image, f"no notice was sent: {error.message}"))


def _describe_changes(session: Session, before: Record, after: Record) -> list[str]:
    """Vulnerabilities and packages that differ, a line for each kind of the former and for each of the latter."""
    try:
        comparison = compare_records(session.catalog, before, after, session.project)
    except BakeryError as error:  # such as a database of vulnerabilities that cannot be opened
        return [f"the changes since {before.version} are unknown: {error.message}"]
    if comparison.packages is None:
        packages = [f"the packages that changed since {before.version} are unknown: a disk was not read"]
    else:
        packages = [f"{count_of(len(comparison.packages), 'package')} changed since {before.version}"]
        packages += [f"{change.name} {change.before or '-'} -> {change.after or '-'}" for change in comparison.packages]
    changes = comparison.vulnerabilities
    fixes = (("fixed", changes.fixed), ("introduced", changes.introduced)) if changes else ()
    return [*(f"{name}: {join_names(list(identifiers))}" for name, identifiers in fixes if identifiers), *packages]


def _find_new_vulnerabilities(
    session: Session, before: Observations, match: VulnerabilityObservation
) -> dict[str, list[Vulnerability]]:
    """Critical vulnerabilities by identifier that earlier observations lack.

    They are compared with the last observation of the same version. The first observation of a version is compared
    with those of the whole image and with the match at the bake.
    """
    last = before.vulnerabilities_by_version.get(ImageVersion.of(match))
    of_image = [one for one in before.vulnerabilities if (one.image, one.arch) == (match.image, match.arch)]
    earlier = [last] if last else of_image
    reports = {ImageVersion.of(other): other.summary.report for other in earlier}
    at_bake = session.catalog.record(match).vulnerabilities
    if not last and at_bake:
        reports[ImageVersion.of(match)] = at_bake.report
    if not match.summary.count("critical") or match.summary.report in reports.values():
        return {}
    old_names = {name for of, report in reports.items() for name in _read_critical(session, of, report)}
    critical = _read_critical(session, match, match.summary.report)
    return {name: packages for name, packages in critical.items() if name not in old_names}


def _read_critical(session: Session, of: Versioned, report: str) -> dict[str, list[Vulnerability]]:
    """The critical vulnerabilities in a report of a version by identifier, each with one entry per package."""
    critical: dict[str, list[Vulnerability]] = {}
    for vulnerability in session.catalog.vulnerabilities(of, report).vulnerabilities:
        if vulnerability.severity == "critical":
            critical.setdefault(vulnerability.id, []).append(vulnerability)
    return critical


def _describe_vulnerability(identifier: str, entries: Sequence[Vulnerability]) -> str:
    packages = join_names([f"{entry.package} {entry.installed}" for entry in entries])
    fixes = join_names(sorted({entry.fixed for entry in entries if entry.fixed}))
    return f"{identifier} in {packages}" + (f", fixed in {fixes}" if fixes else ", no fix is known")
