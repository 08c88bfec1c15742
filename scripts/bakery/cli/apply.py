"""`bakery apply`: stacks one by one, each by a plan that was reviewed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bakery.cli import options, reportfile
from bakery.cli.stacks import Opened, Report, Stacks, open_stacks, write_report
from bakery.host.errors import BakeryError, ExitCode, PartialError, join_errors
from bakery.host.events import Event
from bakery.infra.changes import Difference
from bakery.infra.rollout import Review
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
                _refuse_destruction(difference)

        with write_report(report, differences.values()):
            done, error = _apply_all(selection, review, lock_timeout)
            if done:
                print(render_applied(done))
            with reportfile.write_at_end(outputs, lambda: _encode_outputs(selection, done)):
                if error:
                    raise error


def _encode_outputs(selection: Opened, done: Sequence[Difference]) -> bytes:
    """Write the file of --outputs for the stacks that were applied, also after a failure."""
    names = {each.stack for each in done}
    values = {stack.name: selection.rollout.outputs(stack) for stack in selection.chosen if stack.name in names}
    return json.dumps(values, indent=2).encode() + b"\n"


def _apply_all(selection: Opened, review: Review, lock_seconds: float) -> tuple[list[Difference], BakeryError | None]:
    """Apply in order, after a failure only stacks that do not need it. Returns the results and the error to raise."""
    done: list[Difference] = []
    errors: dict[str, BakeryError] = {}
    skips: list[str] = []
    for stack in selection.chosen:
        if any(name in errors or name in skips for name in stack.behind):
            skips.append(stack.name)
            continue
        try:
            done.append(selection.rollout.apply(stack, review, lock_seconds))
        except BakeryError as error:
            errors[stack.name] = error
    return done, _combined_error(errors, [each.stack for each in done if each.pending], skips) if errors else None


def _refuse_destruction(difference: Difference) -> None:
    if difference.destructive:
        raise BakeryError(
            f"the plan of {difference.stack} destroys or replaces {len(difference.destructive)} resources",
            detail="\n".join(f"{change.kind} {change.address}" for change in difference.destructive),
            hint="nothing of it was applied; if you want this, run again with --allow-destroy",
        )


def _combined_error(errors: Mapping[str, BakeryError], applied: Sequence[str], skips: Sequence[str]) -> BakeryError:
    """One error for all, with the stacks that are applied; partial if there are any, unless it asks to try again."""
    if len(errors) == 1:
        [error] = errors.values()
    else:
        hint = "run the same command again to apply the rest"
        error = join_errors(errors.items(), f"{len(errors)} stacks failed: {', '.join(errors)}", hint)
    rest = {"applied": applied, "skipped, since they depend on a failed stack": skips}
    error.detail = "\n".join(filter(None, [error.detail, *(f"{k}: {', '.join(v)}" for k, v in rest.items() if v)]))
    if applied and error.exit_code != ExitCode.TRY_AGAIN:
        return PartialError(error.message, where=error.where, detail=error.detail, hint=error.hint, log=error.log)
    return error
