"""`bakery apply`: stacks one by one, each by a plan that was looked at."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bakery.cli import options, reportfile
from bakery.cli.stacks import Opened, Report, Stacks, opened, reporting
from bakery.host.errors import BakeryError, ExitCode, PartialError, join_errors
from bakery.host.events import Event
from bakery.infra.changes import Difference
from bakery.infra.rollout import Review
from bakery.reports import applied, lines

LOCK_SECONDS = 600.0  # most applies end within; where one replaces a fleet, give it more or try again


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
            callback=reportfile.writable,
        ),
    ] = None,
    workspace: options.Workspace = options.WORKSPACE,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Apply stacks in the order of what they read of each other.

    Plans, shows the plan and carries out that plan. Asks nothing: 'bakery diff' is the look before. What would destroy
    or replace a resource is refused unless it is allowed. A stack that fails keeps back those that need it, no other.

    Example: bakery apply images
    """
    seen: dict[str, Difference] = {}
    with opened("apply", stacks, workspace, patience=lock_timeout, quiet=quiet, verbose=verbose) as found:

        def review(planned: Difference) -> None:
            seen[planned.stack] = planned
            for line in lines(planned):
                found.report(Event("note", "infra", planned.stack, line))
            if not allow_destroy:
                _refuse_destruction(planned)

        with reporting(report, seen.values()):
            done, error = _apply_all(found, review, lock_timeout)
            if done:
                print(applied(done))
            with reportfile.written(outputs, lambda: _outputs(found, done)):
                if error:
                    raise error


def _outputs(found: Opened, done: Sequence[Difference]) -> bytes:
    """The file of --outputs: of what was applied, also beside a failure."""
    there = {each.stack for each in done}
    values = {stack.name: found.rollout.outputs(stack) for stack in found.chosen if stack.name in there}
    return json.dumps(values, indent=2).encode() + b"\n"


def _apply_all(found: Opened, review: Review, lock_seconds: float) -> tuple[list[Difference], BakeryError | None]:
    """In their order. After a failure all goes on that does not need it; what was done, and what to raise then."""
    done: list[Difference] = []
    failed: dict[str, BakeryError] = {}
    left: list[str] = []
    for stack in found.chosen:
        if any(name in failed or name in left for name in stack.behind):
            left.append(stack.name)
            continue
        try:
            done.append(found.rollout.apply(stack, review, lock_seconds))
        except BakeryError as error:
            failed[stack.name] = error
    return done, _failure(failed, [each.stack for each in done if each.pending], left) if failed else None


def _refuse_destruction(planned: Difference) -> None:
    if planned.destructive:
        raise BakeryError(
            f"the plan of {planned.stack} destroys or replaces {len(planned.destructive)} resources",
            detail="\n".join(f"{change.kind} {change.address}" for change in planned.destructive),
            hint="nothing of it was applied; if that is what you want, run again with --allow-destroy",
        )


def _failure(failed: Mapping[str, BakeryError], applied: Sequence[str], left: Sequence[str]) -> BakeryError:
    """One error for all, with what is done and what is not; partial if anything is, unless it says to try again."""
    if len(failed) == 1:
        [error] = failed.values()
    else:
        hint = "the same command again goes on with the rest"
        error = join_errors(failed.items(), f"{len(failed)} stacks failed: {', '.join(failed)}", hint)
    rest = {"applied": applied, "not tried, since they need what failed": left}
    error.detail = "\n".join(filter(None, [error.detail, *(f"{k}: {', '.join(v)}" for k, v in rest.items() if v)]))
    if applied and error.exit_code != ExitCode.TRY_AGAIN:
        return PartialError(error.message, where=error.where, detail=error.detail, hint=error.hint, log=error.log)
    return error
