"""`bakery plan`: what a run would do, and why."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.session import open_session
from bakery.engine.plan import Plan
from bakery.host.errors import ExitCode
from bakery.host.text import count_of
from bakery.model import documents
from bakery.reports import render_table


def plan(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    max_age: options.MaxAge = options.MAX_AGE,
    rebuild: options.Rebuild = False,
    baked_before: options.BakedBefore = None,
    json: options.Json = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there is work to do.")
    ] = False,
) -> int:
    """Show what a run would do, and why.

    Changes nothing. Names each changed input, with both values if they are readable, and the updates that the last
    'bakery refresh' found.

    Example: bakery plan web
    """
    rebuild_asked = datetime.now(UTC) if rebuild else baked_before
    document = open_session(definitions, workspace, catalog, quiet=json).plan(images, timedelta(hours=max_age), rebuild_asked)
    print(documents.dump(document).decode() if json else render(document), end="" if json else "\n")
    return ExitCode.CHANGES if detailed_exitcode and document.pending else ExitCode.OK


def render(document: Plan) -> str:
    """A line per image and a summary."""
    rows = [(action.image, action.kind, action.version or "-", action.reason) for action in document.actions]
    pending, total = len(document.pending), len(document.actions)
    summary = f"{pending} of {count_of(total, 'image')} {'needs' if pending == 1 else 'need'} work"
    return f"{render_table(('image', 'action', 'version', 'reason'), rows)}\n\n{summary}"
