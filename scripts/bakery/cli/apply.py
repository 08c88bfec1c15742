"""`bakery apply`: stacks one by one, each by a plan that was reviewed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bakery.cli import options, reportfile
from bakery.cli.stacks import Report, Stacks, open_stacks, write_report
from bakery.engine.stacks import StackSelection, apply_stacks, refuse_destruction
from bakery.host.events import Event
from bakery.infra.changes import Difference
from bakery.reports import lines, render_applied

LOCK_SECONDS = 600.0  # most applies end within it; one that replaces a fleet needs more time or another try


def apply(
    stacks: Stacks = None,
    allow_destroy: Annotated[
        bool, typer.Option("--allow-destroy", help="Also destroy and replace resources, where the plan says so.")
    ] = False,
    lock_timeout: Annotated[
        float, typer.Option("--lock-timeout", min=0, help="Seconds to wait for another run; then it exits with 75.")
    ] = LOCK_SECONDS,
    report: Report = None,
    outputs: Annotated[
        Path | None,
        typer.Option(
            "--outputs",
            help="Write outputs that are not sensitive, by stack, to this file.",
            callback=reportfile.check_writable,
        ),
    ] = None,
    workspace: options.Workspace = options.WORKSPACE,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Apply stacks in the order of their dependencies.

    Plans each stack, shows the plan and carries out exactly that plan. Does not ask: run 'bakery diff' first. A plan
    that destroys or replaces a resource is refused unless you allow it. If a stack fails, only the stacks that depend
    on it are skipped.

    Example: bakery apply images
    """
    differences: dict[str, Difference] = {}
    with open_stacks("apply", stacks, workspace, patience=lock_timeout, quiet=quiet, verbose=verbose) as selection:

        def review(difference: Difference) -> None:
            differences[difference.stack] = difference
            for line in lines(difference):
                selection.report(Event("note", "infra", difference.stack, line))
            if not allow_destroy:
                refuse_destruction(difference)

        with write_report(report, differences.values()):
            done, error = apply_stacks(selection, review, lock_timeout)
            if done:
                print(render_applied(done))
            with reportfile.write_at_end(outputs, lambda: _encode_outputs(selection, done)):
                if error:
                    raise error


def _encode_outputs(selection: StackSelection, done: Sequence[Difference]) -> bytes:
    """Write the file of --outputs for the stacks that were applied, also after a failure."""
    names = {each.stack for each in done}
    values = {stack.name: selection.rollout.outputs(stack) for stack in selection.chosen if stack.name in names}
    return json.dumps(values, indent=2).encode() + b"\n"
