"""`bakery refresh`: see which updates the newest versions have."""

from collections.abc import Sequence

from bakery.cli import options
from bakery.cli.session import session
from bakery.engine.refresh import refresh_images
from bakery.engine.updates import count_security, render_security
from bakery.host.parallel import raise_failures
from bakery.model import documents
from bakery.model.documents import Severity
from bakery.model.observations import BaseObservation, Observation
from bakery.model.vulnerabilities import VulnerabilityObservation
from bakery.reports import render_table

SHOWN: tuple[Severity, ...] = ("critical", "high", "medium", "low")


def refresh(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Look for updates, newer bases and known vulnerabilities.

    Asks package archives, vendors and a database about the newest version of each image. Starts no machine and changes
    no image. The catalog keeps the answers for 'bakery plan' and 'bakery status'. The environment variable
    BAKERY_VULNERABILITY_DATABASE names the database; without it, vulnerabilities are unknown.

    Example: bakery refresh web
    """
    with session(
        definitions, workspace, catalog, verb="refresh", json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        result = refresh_images(verb_session, images, jobs)
        if json:
            print(documents.dump(result.observations).decode(), end="")
        else:
            print(render([outcome.result for outcome in result.outcomes if outcome.result]))
            if matches := [outcome.result for outcome in result.matches if outcome.result]:
                print(f"\n{render_matches(matches)}")
            if result.bases:
                print(f"\n{render_bases(result.bases)}")
        raise_failures([*result.outcomes, *result.matches, *result.questions], nouns="tasks")


def render(observations: Sequence[Observation]) -> str:
    """A line per image."""
    rows = [
        (
            observation.image,
            observation.version,
            str(len(observation.upgrade.updates)),
            render_security(*count_security(observation.upgrade.updates)),
            str(len(observation.upgrade.held)),
        )
        for observation in observations
    ]
    return render_table(("image", "version", "updates", "security", "held"), rows)


def render_bases(bases: Sequence[BaseObservation]) -> str:
    """A line per base that a vendor may replace: the newest one, and its date."""
    rows = [(one.image, one.builder, one.base.identity, one.base.date or "-") for one in bases]
    return render_table(("image", "builder", "newest base", "of"), rows)


def render_matches(matches: Sequence[VulnerabilityObservation]) -> str:
    """A line per version: its CVEs by severity, and the date of the database."""
    rows = [
        (one.image, one.version, *(str(one.summary.count(name)) for name in SHOWN), one.summary.database.built[:10])
        for one in matches
    ]
    return render_table(("image", "version", *SHOWN, "database of"), rows)
