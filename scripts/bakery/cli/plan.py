"""`bakery plan`: what a run would do, and why."""

import textwrap
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.completion import complete_images
from bakery.cli.session import open_session
from bakery.engine.checks import check_all
from bakery.engine.plan import Action, Plan
from bakery.host.errors import ExitCode
from bakery.host.text import count_of
from bakery.model import documents
from bakery.model.inputs import Change, shorten_digests
from bakery.reports import WIDTH, render_table

ABSENT = "(none)"
INDENT = "  "


def plan(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    max_age: options.MaxAge = options.MAX_AGE,
    rebuild: options.Rebuild = False,
    baked_before: options.BakedBefore = None,
    why: Annotated[
        str,
        typer.Option(
            metavar="IMAGE",
            help="Show each changed input of this image, before and now.",
            autocompletion=complete_images,
        ),
    ] = "",
    json: options.Json = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there is work to do.")
    ] = False,
) -> int:
    """Show what a run would do, and why.

    Changes nothing. Names each changed input, with both values if they are readable, and the updates that the last
    'bakery refresh' found. Checks the definitions that a run works on, as 'bakery validate' does.

    Example: bakery plan web

    Example: bakery plan --why web
    """
    rebuild_asked = datetime.now(UTC) if rebuild else baked_before
    session = open_session(definitions, workspace, catalog, quiet=json)
    names = [*(images or []), why] if why else images
    document = session.plan(names, timedelta(hours=max_age), rebuild_asked)
    check_all(session, [session.definitions.images[action.image] for action in document.pending])
    if json:
        print(documents.dump(document).decode(), end="")
    else:
        print("\n\n".join([render(document), *([render_changes(document, why)] if why else [])]))
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


def render_changes(document: Plan, image: str) -> str:
    """Each changed input of an image with both values; the reason of its action if no input changed."""
    action = next(action for action in document.actions if action.image == image)
    if not action.changes:
        unknown = ", and its inputs are known after that" if action.kind == "wait" else ""
        return f"{image}: {action.reason}{unknown}"
    title = f"{image}: {count_of(len(action.changes), 'input')} changed since {action.version}"
    return "\n".join([title, *map(_describe_change, action.changes)])


def _describe_change(change: Change) -> str:
    """A line, or a paragraph for each value if a line has no room for both."""
    before, after = (shorten_digests(value) or ABSENT for value in (change.before, change.after))
    line = f"{INDENT}{change.input}: {before} -> {after}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{INDENT}{change.input}", _wrap_value("before", before), _wrap_value("now", after)])


def _wrap_value(label: str, text: str) -> str:
    label = f"{2 * INDENT}{label:8}"
    text = text.replace('","', '", "')  # a line breaks between two entries of a list
    return textwrap.fill(text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label), break_on_hyphens=False)


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
