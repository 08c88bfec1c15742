"""`bakery publish`: publish tested disks to their targets."""

from bakery.catalog import Record
from bakery.cli import options
from bakery.cli.consent import ask_before_leaving
from bakery.cli.session import session
from bakery.engine.stages import publish_images
from bakery.host.parallel import raise_failures
from bakery.model import documents
from bakery.reports import render_table


def publish(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    channel: options.FollowingChannel = "",
    jobs: options.Jobs = options.JOBS,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Publish tested disks to their targets.

    Records the version in the catalog and moves its channel. Safe to run again: it finds what an earlier run made.

    Example: bakery publish web
    """
    with session(
        definitions, workspace, catalog, verb="publish", json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        if not yes:
            ask_before_leaving(verb_session, images)
        outcomes = publish_images(verb_session, images, channel, jobs)
        records = [outcome.result for outcome in outcomes if outcome.result]
        if json:
            print(documents.dump_all(records).decode(), end="")
        elif records and not quiet:
            print(render(records))
        raise_failures(outcomes)


def render(records: list[Record]) -> str:
    """A line per location."""
    rows = [
        (record.image, record.version, publication.target, location.account or "-", location.region or "-", location.id)
        for record in records
        for publication in record.publications
        for location in publication.locations
    ]
    return render_table(("image", "version", "target", "account", "region", "id"), rows)
