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

    Changes nothing. Names the first changed input, with both values if they are readable, and the updates that the last
    'bakery refresh' found; 'bakery explain IMAGE' names all inputs. Checks the definitions that a run works on, as
    'bakery validate' does.

    Example: bakery plan web
    """
    rebuild_asked = datetime.now(UTC) if rebuild else baked_before
    session = open_session(definitions, workspace, catalog, quiet=json)
    document = session.plan(images, timedelta(hours=max_age), rebuild_asked)
    check_all(session, [session.definitions.images[action.image] for action in document.pending])
    if json:
        print(documents.dump(document).decode(), end="")
    else:
        print(render(document))
    return ExitCode.CHANGES if detailed_exitcode and document.pending else ExitCode.OK


def render(document: Plan) -> str:
    """A line per image, what a run publishes and which channels it moves, and a summary."""
    rows = [(action.image, action.kind, _version_cell(action), action.reason) for action in document.actions]
    effects = [text for action in document.actions if (text := _describe_effects(action))]
    waiting, total = len(document.waiting), len(document.actions)
    pending = len(document.pending) - waiting
    summary = f"{pending} of {count_of(total, 'image')} {'needs' if 1 in (pending, total) else 'need'} work"
    if waiting:
        summary += f", {waiting} {'waits' if waiting == 1 else 'wait'} for the result"
    table = render_table(("image", "action", "version", "reason"), rows)
    return "\n\n".join(filter(None, (table, "\n".join(effects), summary)))


def _version_cell(action: Action) -> str:
    """The version that is there, and the one that comes."""
    if action.next_version:
        return f"{action.version} -> {action.next_version}" if action.version else f"-> {action.next_version}"
    return action.version or "-"


def _describe_effects(action: Action) -> str:
    """The effects of a run on an image that others see; empty if it has none."""
    version, move = action.next_version or action.version, action.move
    effects = [f"publishes {action.image} {version} at {', '.join(action.targets)}"] if action.targets else []
    if move:
        effects.append(f"moves {move.channel} {f'from {move.before} ' if move.before else ''}to {move.after}")
    if action.leaves:
        effects.append(f"leaves {', '.join(action.leaves)}")
    done = f"a run {', and '.join(effects)}" if effects else ""
    states = [f"{action.image}: {state}" for state in (action.hold, action.interrupted) if state]
    return "; ".join(filter(None, (done, *states)))
