"""`bakery plan`: what a run would do, and why."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.session import open_session
from bakery.engine.checks import check_all
from bakery.engine.plan import Action, Plan
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
    'bakery refresh' found. Checks the definitions that a run works on, as 'bakery validate' does.

    Example: bakery plan web
    """
    rebuild_asked = datetime.now(UTC) if rebuild else baked_before
    session = open_session(definitions, workspace, catalog, quiet=json)
    document = session.plan(images, timedelta(hours=max_age), rebuild_asked)
    check_all(session, [session.definitions.images[action.image] for action in document.pending])
    print(documents.dump(document).decode() if json else render(document), end="" if json else "\n")
    return ExitCode.CHANGES if detailed_exitcode and document.pending else ExitCode.OK


def render(document: Plan) -> str:
    """A line per image, what a run publishes, and a summary."""
    rows = [(action.image, action.kind, _version_cell(action), action.reason) for action in document.actions]
    publications = [_describe_publication(action) for action in document.actions if action.targets]
    waiting, total = len(document.waiting), len(document.actions)
    pending = len(document.pending) - waiting
    summary = f"{pending} of {count_of(total, 'image')} {'needs' if pending == 1 else 'need'} work"
    if waiting:
        summary += f", {waiting} {'waits' if waiting == 1 else 'wait'} for the result"
    table = render_table(("image", "action", "version", "reason"), rows)
    return "\n\n".join(filter(None, (table, "\n".join(publications), summary)))


def _version_cell(action: Action) -> str:
    """The version that is there, and the one that comes."""
    if action.next_version:
        return f"{action.version} -> {action.next_version}" if action.version else f"-> {action.next_version}"
    return action.version or "-"


def _describe_publication(action: Action) -> str:
    version, move = action.next_version or action.version, action.move
    text = f"a run publishes {action.image} {version} at {', '.join(action.targets)}"
    if move:
        text += f", and moves {move.channel} {f'from {move.before} ' if move.before else ''}to {move.after}"
    return text
