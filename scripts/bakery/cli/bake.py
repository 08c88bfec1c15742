"""`bakery bake`: make disks, and images at targets where Packer builds."""

from enum import StrEnum
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.session import session
from bakery.engine import parallel as many
from bakery.engine import steps as line
from bakery.model import documents
from bakery.model.documents import Artifact, RemoteBuild
from bakery.reports import table


class BuilderName(StrEnum):
    """Keys of a definition's base."""

    QEMU = "qemu"
    AWS = "aws"
    VSPHERE = "vsphere"
    AZURE = "azure"


def bake(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    builder: Annotated[
        list[BuilderName] | None, typer.Option("--builder", help="Only what this builder makes; may be repeated.")
    ] = None,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Bake the images whose inputs changed.

    The result is a disk and artifact.json, not yet tested; or an image at a target and build.json.

    BAKERY_SSH_TIMEOUT sets how long a machine may take to answer on SSH, such as 20m.

    Example: bakery bake web
    """
    with session(definitions, workspace, catalog, verb="bake", quiet=quiet, verbose=verbose) as opened:
        wanted = {image.name for image in opened.definitions.select(images or [])}
        actions = [action for action in opened.plan(images).actions if action.image in wanted]
        due = {action.image: action for action in actions if action.kind in ("bake", "wait")}
        outcomes = many.each(list(due), lambda name: line.bake_image(opened, due[name], builder or []), jobs)
        baked = [part for outcome in outcomes if outcome.result for part in outcome.result.parts]
        if json:
            print(documents.dump_all(baked).decode(), end="")
        else:
            rows = [
                (action.image, action.version, f"kept: {action.reason}")
                for action in actions
                if action.image not in due
            ]
            rows += [(part.image, part.version, _result(part)) for part in baked]
            print(table(("image", "version", "result"), rows))
        many.raise_failures(outcomes)


def _result(part: Artifact | RemoteBuild) -> str:
    return part.disk.path if isinstance(part, Artifact) else ", ".join(part.ids.values())
