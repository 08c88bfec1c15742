"""`bakery distribute`: bring a published version to new places."""

from bakery.cli import options
from bakery.cli.publish import render
from bakery.cli.session import session
from bakery.engine.steps import distribute_version
from bakery.model import documents


def distribute(
    image: options.Image,
    version: options.Version,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Bring a published version to the locations of its definition.

    Copies it from the images that are there, so it needs neither its disk nor a new bake. Makes missing images again,
    repairs tags and shares, and takes the version back from accounts that the definition does not name any more. Moves
    no channel.

    Example: bakery distribute web 1.0.3
    """
    with session(
        definitions, workspace, catalog, verb="distribute", must_exist=True, json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        record = distribute_version(verb_session, image, version, follow=False)
    if json:
        print(documents.dump(record).decode(), end="")
    elif not quiet:
        print(render([record]))
