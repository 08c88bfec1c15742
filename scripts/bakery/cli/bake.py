"""`bakery bake`: make disks, and images at targets where Packer builds."""

from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.session import session
from bakery.engine.run import bake_images
from bakery.host.parallel import raise_failures
from bakery.model import documents
from bakery.model.documents import Artifact, RemoteBuild
from bakery.reports import render_table


def bake(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    builder: Annotated[
        list[options.BuilderName] | None,
        typer.Option("--builder", help="Only this builder; may be repeated."),
    ] = None,
    baked_before: options.BakedBefore = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="If a bake on this machine fails, keep its disk and say how to log in.")
    ] = False,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Bake the images whose inputs changed.

    The result is a disk and artifact.json, not yet tested; or an image at a target and build.json. As 'bakery run'
    does, it first names everything that is missing for these bakes.

    BAKERY_SSH_TIMEOUT sets how long a machine may take to answer on SSH, such as 20m.

    Example: bakery bake web
    """
    with session(definitions, workspace, catalog, verb="bake", json=json, quiet=quiet, verbose=verbose) as verb_session:
        bakes = bake_images(verb_session, images, builder or [], jobs, baked_before, keep)
        parts = [part for outcome in bakes.outcomes if outcome.result for part in outcome.result.parts]
        if json:
            print(documents.dump_all(parts).decode(), end="")
        else:
            rows = [(action.image, action.version, f"kept: {action.reason}") for action in bakes.unchanged]
            rows += [(part.image, part.version, _result_cell(part)) for part in parts]
            if rows:
                print(render_table(("image", "version", "result"), rows))
        raise_failures(bakes.outcomes)


def _result_cell(part: Artifact | RemoteBuild) -> str:
    return part.disk.path if isinstance(part, Artifact) else ", ".join(part.ids.values())
