"""`bakery bake`: make disks."""

from bakery import documents
from bakery.cli import line, many, options
from bakery.cli.session import session
from bakery.reports import table


def bake(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Bake the images whose inputs changed.

    The result is a disk and artifact.json, not yet tested.

    Example: bakery bake web
    """
    with session(definitions, workspace, catalog, verb="bake", quiet=quiet, verbose=verbose) as opened:
        wanted = {image.name for image in opened.definitions.select(images or [])}
        actions = [action for action in opened.plan(images).actions if action.image in wanted]
        due = {action.image: action for action in actions if action.kind in ("bake", "wait")}
        outcomes = many.each(list(due), lambda name: line.bake_image(opened, due[name]), jobs)
        baked = [outcome.result[0] for outcome in outcomes if outcome.result]
        if json:
            print(documents.dump_all(baked).decode(), end="")
        else:
            rows = [
                (action.image, action.version, f"kept: {action.reason}")
                for action in actions
                if action.image not in due
            ]
            rows += [(artifact.image, artifact.version, artifact.disk.path) for artifact in baked]
            print(table(("image", "version", "result"), rows))
        many.raise_failures(outcomes)
