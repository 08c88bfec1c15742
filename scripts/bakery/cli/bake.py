"""`bakery bake`: make disks, and images at targets where Packer builds."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bakery.bake.task_times import read_task_times
from bakery.cli import options
from bakery.cli.consent import is_somebody_there
from bakery.cli.session import session
from bakery.engine.stages import bake_images
from bakery.engine.steps import BakeOptions
from bakery.host.errors import UsageError
from bakery.host.parallel import raise_failures
from bakery.host.text import count_of
from bakery.model import documents
from bakery.model.documents import Artifact, RemoteBuild
from bakery.reports import render_table

LONGEST = 20  # tasks; the others take little


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
    fail_on: options.FailOnDifference = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="If a bake on this machine fails, say how to log in to its guest, which runs until it is powered off, "
            "and keep its disk. Without a terminal or a guest, keep the disk alone.",
        ),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print the longest tasks of each bake, for authors of roles.")
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

    Example: bakery bake web --profile
    """
    if profile and json:
        raise UsageError("--json and --profile exclude each other")
    with session(definitions, workspace, catalog, verb="bake", json=json, quiet=quiet, verbose=verbose) as verb_session:
        how = BakeOptions(
            keep=keep,
            # The message that says how to log in is on standard error.
            keep_guest=keep and is_somebody_there() and sys.stderr.isatty() and not quiet,
            fresh=baked_before is not None,
            fail_on_difference=fail_on is not None,
        )
        bakes = bake_images(verb_session, images, builder or [], jobs, how, baked_before)
        parts = [part for outcome in bakes.outcomes if outcome.result for part in outcome.result.parts]
        rows = [(action.image, action.version, f"kept: {action.reason}") for action in bakes.unchanged]
        rows += [(part.image, part.version, _result_cell(part)) for part in parts]
        if json:
            print(documents.dump_all(parts).decode(), end="")
        elif rows and not quiet:
            print(render_table(("image", "version", "result"), rows))
        if profile:
            print("".join(f"\n{render_profile(part)}\n" for part in parts), end="")
        raise_failures(bakes.outcomes)


def _result_cell(part: Artifact | RemoteBuild) -> str:
    return part.disk.path if isinstance(part, Artifact) else ", ".join(part.ids.values())


def render_profile(part: Artifact | RemoteBuild) -> str:
    """The tasks of a bake that took longest, with their share of the time of all tasks."""
    title = f"{part.image} {part.version}"
    tasks = read_task_times(Path(part.log)) if part.log else []
    total = sum(task.seconds for task in tasks)
    if not total:
        return f"{title}: its log has no times of tasks"
    rows = [
        (f"{task.seconds:.1f}", f"{task.seconds / total:.0%}", task.role or "-", task.name) for task in tasks[:LONGEST]
    ]
    table = render_table(("seconds", "share", "role", "task"), rows)
    return f"{title}: {count_of(len(tasks), 'task')} in {total:.1f} s\n{table}"
