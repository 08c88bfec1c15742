"""`bakery publish`: bring tested disks to their targets."""

from bakery.catalog import Record
from bakery.cli import options
from bakery.cli.session import session
from bakery.engine import steps as line
from bakery.host import parallel
from bakery.model import documents
from bakery.reports import table


def publish(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    channel: options.FollowingChannel = "",
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Bring tested disks to their targets.

    Records the version in the catalog and lets its channel follow. Safe to run again: what is already there is found,
    not made twice.

    Example: bakery publish web
    """
    with session(definitions, workspace, catalog, verb="publish", quiet=quiet, verbose=verbose) as opened:

        def work(name: str) -> Record:
            return line.publish_image(opened, opened.newest_baked(opened.definitions.images[name]), channel)

        names = [image.name for image in opened.definitions.select(images or [])]
        outcomes = parallel.run_parallel(names, work, jobs)
        records = [outcome.result for outcome in outcomes if outcome.result]
        print(documents.dump_all(records).decode() if json else render(records), end="" if json else "\n")
        parallel.raise_failures(outcomes)


def render(records: list[Record]) -> str:
    """A line per place."""
    rows = [
        (record.image, record.version, found.target, place.account or "-", place.region or "-", place.id)
        for record in records
        for found in record.publications
        for place in found.places
    ]
    return table(("image", "version", "target", "account", "region", "id"), rows)
