"""`bakery run`: all steps for every image that needs them, parents first."""

from bakery.cli import options
from bakery.cli.publish import render
from bakery.cli.session import session
from bakery.engine.run import run_images
from bakery.model import documents


def run(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    rebuild: options.Rebuild = False,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Bring images up to date.

    Plans, bakes, verifies, publishes and records each image that needs it, parents first.

    Looks for all that these images need before the first bake, and names everything that is missing: secrets and
    credentials in Vault, logins at targets, signing keys, programs, free disk.

    With --rebuild, each named image gets a new version, baked from its base as it is now. Images that are built on it
    follow in a later run, if its content changed.

    The environment variable BAKERY_NOTIFY names the recipients of notices about new versions and failures: topics,
    and webhooks by their paths in Vault.

    Example: bakery run web

    Example: bakery run --rebuild web
    """
    with session(definitions, workspace, catalog, verb="run", json=json, quiet=quiet, verbose=verbose) as verb_session:
        records = run_images(verb_session, images, jobs, rebuild)
        if json:
            print(documents.dump_all(records).decode(), end="")
        else:
            print(render(records) if records else "nothing to do: every image is up to date")
