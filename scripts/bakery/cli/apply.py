"""`bakery apply`: stacks one by one, each by a plan that was looked at."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bakery import files
from bakery.cli import options, reportfile
from bakery.cli.stacks import Opened, Report, Stacks, opened, reporting
from bakery.errors import BakeryError, BusyError, PartialError
from bakery.events import Event
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
    or replace a resource is refused unless it is allowed.

    Example: bakery apply images
    """
    seen: dict[str, Difference] = {}
    with opened("apply", stacks, workspace, patience=lock_timeout, quiet=quiet, verbose=verbose) as found:

        def review(planned: Difference) -> None:
            seen[planned.stack] = planned
            for line in lines(planned):
                found.tell(Event("note", "infra", planned.stack, line))
            if not allow_destroy:
                _refuse_destruction(planned)

        with reporting(report, seen.values()):
            print(applied(_apply_all(found, review, lock_timeout)))
        if outputs:
            found_outputs = {stack.name: found.rollout.outputs(stack) for stack in found.chosen}
            files.write_atomic(outputs, json.dumps(found_outputs, indent=2).encode() + b"\n")


def _apply_all(found: Opened, review: Review, lock_seconds: float) -> list[Difference]:
    """In their order; the first failure is the last stack that is touched, since the next ones may need it."""
    done: list[Difference] = []
    for stack in found.chosen:
        try:
            done.append(found.rollout.apply(stack, review, lock_seconds))
        except BakeryError as error:
            finished = [each.stack for each in done if each.pending]
            left = [each.name for each in found.chosen[len(done) + 1 :]]
            raise _stopped(error, finished, left) from error
    return done


def _refuse_destruction(planned: Difference) -> None:
    if planned.destructive:
        raise BakeryError(
            f"the plan of {planned.stack} destroys or replaces {len(planned.destructive)} resources",
            detail="\n".join(f"{change.kind} {change.address}" for change in planned.destructive),
            hint="nothing of it was applied; if that is what you want, run again with --allow-destroy",
        )


def _stopped(error: BakeryError, finished: Sequence[str], left: Sequence[str]) -> BakeryError:
    """The same error, with what is done and what is not; partial if anything was done, unless it says to try again."""
    rest = [f"{what}: {', '.join(names)}" for what, names in (("applied", finished), ("not tried", left)) if names]
    detail = "\n".join(filter(None, [error.detail, *rest]))
    if finished and not isinstance(error, BusyError):
        return PartialError(error.message, where=error.where, detail=detail, hint=error.hint, log=error.log)
    error.detail = detail
    return error
