"""`bakery status`: the images that lack updates, the most urgent first."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from bakery.cli import options, reportfile
from bakery.cli.session import open_session
from bakery.engine.status import ImageStatus, Status, describe_images
from bakery.engine.updates import render_security
from bakery.host.errors import BakeryError
from bakery.host.text import count_of
from bakery.model import documents
from bakery.reports import render_junit, render_table

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class FailOn(StrEnum):
    """A kind of update that makes the verb fail."""

    SECURITY = "security"


def status(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    max_age: options.MaxAge = options.MAX_AGE,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="Exit with 1 if an image lacks such an update, or may lack one."),
    ] = None,
    report: options.JunitReport = None,
    json: options.Json = False,
) -> None:
    """Show which images lack updates, as of the last 'bakery refresh'.

    Updates are counted as security/all, held ones included. '3+' means that three are for security and more may be, '?'
    that any may be. CVEs are counted as critical/high, from the database of the refresh; the JSON lists each one. A
    channel is shown with its version if that is not the newest one. The lines below the table name bases that a vendor
    replaced, images that failed since their newest version, and images whose updates wait for a lock.

    Example: bakery status
    """
    session = open_session(definitions, workspace, catalog, must_exist=True, quiet=json)
    document = describe_images(session, images, timedelta(hours=max_age), with_vulnerabilities=json)
    with reportfile.write_at_end(report, lambda: render_junit("bakery status", _list_cases(document))):
        print(documents.dump(document).decode() if json else render(document), end="" if json else "\n")
        if fail_on:
            _require_security(document)


def render(document: Status) -> str:
    """A line per image, then one per newer base, per image that failed, and per image that a lock holds back."""
    now = datetime.fromisoformat(document.at)
    rows = [_image_row(image, now) for image in document.images]
    table = render_table(("image", "version", "age", "updates", "CVEs", "channels behind", "refreshed"), rows)
    bases = [f"{image.image}: {text}" for image in document.images for text in _describe_bases(image)]
    failures = [_describe_failures(image, now) for image in document.images if image.failures]
    locks = [
        f"{image.image} has a lock: 'bakery update {image.image}' brings its updates"
        for image in document.images
        if image.has_lock and image.updates
    ]
    return "\n\n".join([table, *("\n".join(lines) for lines in (bases, failures, locks) if lines)])


def _describe_bases(image: ImageStatus) -> Iterator[str]:
    """A line for each base that a vendor has replaced, or of which that is unknown."""
    for state in image.bases:
        if state.since:
            yield f"{state} is newer"
        elif state.newest is None or state.original is None:
            yield f"the base of {image.version} is unknown"
        elif image.bases_old:
            yield f"base {state.newest.name} not refreshed since {state.newest.at}"


def _describe_failures(image: ImageStatus, now: datetime) -> str:
    last, count = image.failures[-1], len(image.failures)
    times = "once" if count == 1 else f"{count} times"
    since = f" since {image.version}" if image.version else ""
    return f"{image.image} failed {times}{since}, last {_describe_age(last.at, now)} ago in {last.step}: {last.message}"


def _image_row(image: ImageStatus, now: datetime) -> tuple[str, ...]:
    refreshed = f"{_describe_age(image.refreshed, now)}{' (old)' if image.old else ''}" if image.refreshed else "never"
    first, *more = [f"{name} {version}" for name, version in sorted(image.behind.items())] or ["-"]
    channels = f"{first} +{len(more)}" if more else first
    return (
        image.image,
        image.version or "-",
        _describe_age(image.baked, now) if image.baked else "-",
        _updates_cell(image),
        _vulnerabilities_cell(image),
        channels,
        refreshed if image.version else "-",
    )


def _updates_cell(image: ImageStatus) -> str:
    if image.updates is None:
        return "unknown" if image.version else "-"
    return f"{render_security(image.security, image.unclassified)}/{image.updates}"


def _vulnerabilities_cell(image: ImageStatus) -> str:
    if image.matches is None:
        return "unknown" if image.version else "-"
    summary = image.matches.summary
    return f"{summary.count('critical')}/{summary.count('high')}{' (old)' if image.matches_old else ''}"


def _describe_age(time: str, now: datetime) -> str:
    age = now - datetime.fromisoformat(time)
    if age < 2 * DAY:
        return f"{age // HOUR} h"
    return f"{age // DAY} d"


def _require_security(document: Status) -> None:
    """Raise BakeryError if an image lacks an update for security, or if that is unknown."""
    if document.insecure:
        hint = "run 'bakery run', which installs every update that is not held"
        if locked := [image for image in document.insecure if image.has_lock]:
            hint += f", for images with a lock after 'bakery update {' '.join(image.image for image in locked)}'"
        raise BakeryError(f"updates for security are due: {_list_names(document.insecure)}", hint=hint)
    if document.unknown:
        raise BakeryError(
            f"updates are unknown, or the last refresh is too old: {_list_names(document.unknown)}",
            hint="run 'bakery refresh', which says why if it cannot know",
        )
    if document.unclassified:
        raise BakeryError(
            f"updates may be for security: {_list_names(document.unclassified)}",
            hint="their package archive has no security advisories: look at the updates in 'bakery plan', or bake",
        )


def _list_cases(document: Status) -> list[tuple[str, BakeryError | None]]:
    """A case per image, which fails as --fail-on security does."""
    return [(image.image, _describe_gap(image, document)) for image in document.images]


def _describe_gap(image: ImageStatus, document: Status) -> BakeryError | None:
    if image in document.insecure:
        return BakeryError(
            f"{image.image} {image.version} lacks {count_of(image.security or 0, 'update')} for security"
        )
    if image in document.unknown:
        return BakeryError(f"the updates of {image.image} {image.version} are unknown, or its last refresh is too old")
    if image in document.unclassified:
        return BakeryError(f"updates of {image.image} {image.version} may be for security")
    return None


def _list_names(images: Iterable[ImageStatus]) -> str:
    return ", ".join(image.image for image in images)
