"""`bakery update`: update the locks of package versions."""

from dataclasses import replace
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.completion import complete_images
from bakery.cli.plan import render
from bakery.cli.session import open_session, show_events
from bakery.engine.locks import LockUpdate, update_locks
from bakery.engine.session import Session
from bakery.host.errors import UsageError
from bakery.host.parallel import raise_failures
from bakery.host.text import count_of
from bakery.model.definition import Definitions, ImageDefinition
from bakery.reports import render_table


def update(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE", help="Images to update; name some, or use --all.", autocompletion=complete_images
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Update the lock of every image that has one.")] = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Update the locks of pinned images to today's package versions.

    Starts no machine. Shows what changes, and writes the lock beside the definition, for you to commit. A lock names
    dated archives: Debian's and Ubuntu's snapshots, and those in the environment variable BAKERY_DATED_ARCHIVES.

    Example: bakery update web
    """
    silent_session = open_session(definitions, workspace, catalog, quiet=quiet)
    selected = _select_images(silent_session.definitions, images or [], every)  # a wrong call leaves no log
    with show_events(silent_session.project, "update", quiet=quiet, verbose=verbose) as report:
        for image in (image for image in selected if not image.has_lock):
            print(f"{image.name}: needs no lock, because its package_versions is track")
        locked = [image for image in selected if image.has_lock]
        outcomes = update_locks(replace(silent_session, report=report), locked, jobs)
        updates = [outcome.result for outcome in outcomes if outcome.result]
        for result in updates:
            print(render_update(result))
        raise_failures(outcomes)
    _show_plan(silent_session, [result.image for result in updates])


def render_update(result: LockUpdate) -> str:
    """The changes of a lock, and the archives that it cannot pin."""
    undated = [
        f"{result.image}: {address} has no dated archive, so its lock has only versions" for address in result.undated
    ]
    if not result.written:
        return "\n".join([f"{result.image}: {result.path} is up to date", *undated])
    rows = [(change.input, change.before or "-", change.after or "-") for change in result.changes]
    table = [render_table(("package", "before", "after"), rows)] if rows else []
    summary = f"{result.image}: wrote {result.path} ({count_of(len(result.lock.packages), 'package')})"
    if not result.lock.packages:
        summary += f"; run 'bakery run {result.image}', then 'bakery update {result.image}' again for the packages"
    return "\n".join([*table, summary, *undated])


def _select_images(definitions: Definitions, names: list[str], every: bool) -> list[ImageDefinition]:
    if every and not names:
        return [image for image in definitions.images.values() if image.has_lock]
    if every or not names:
        raise UsageError("name images, or --all", hint="'bakery update --all' updates the lock of every image")
    first, *others = names
    packages = [name for name in others if name not in definitions.images]
    if first in definitions.images and packages:
        raise UsageError(
            f"no image named '{packages[0]}'", hint=f"'bakery add {first} {' '.join(packages)}' adds packages"
        )
    return definitions.select(names)


def _show_plan(session: Session, names: list[str]) -> None:
    if names:
        print(f"\n{render(session.plan(names))}")
