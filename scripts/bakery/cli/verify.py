"""`bakery verify`: test disks."""

from bakery.cli import options
from bakery.cli.session import session
from bakery.engine.stages import verify_images
from bakery.host.parallel import raise_failures
from bakery.model import documents
from bakery.reports import render_table


def verify(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Test the newest baked disks.

    Inspects the disk, searches it for secrets, boots a throwaway copy, runs the tests and writes verdict.json.
    A disk of Windows is inspected and searched, but not booted.

    Example: bakery verify web
    """
    with session(
        definitions, workspace, catalog, verb="verify", json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        outcomes = verify_images(verb_session, images, jobs)
        verdicts = [outcome.result for outcome in outcomes if outcome.result]
        if json:
            print(documents.dump_all(verdicts).decode(), end="")
        elif verdicts and not quiet:
            rows = [
                (each.image, each.version, f"{len(each.checks)} passed", each.accelerator or "not booted")
                for each in verdicts
            ]
            print(render_table(("image", "version", "checks", "accelerator"), rows))
        raise_failures(outcomes)
