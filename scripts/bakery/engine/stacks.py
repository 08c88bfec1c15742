"""The stacks of an environment: selected under a lock, applied in the order of their dependencies."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bakery.engine.session import write_trusted_keys
from bakery.host import files
from bakery.host.errors import BakeryError, ExitCode, PartialError, join_errors, render_rest
from bakery.host.events import Event, Reporter
from bakery.host.text import count_of
from bakery.infra import env, stacks
from bakery.infra.cdktf import Cdktf
from bakery.infra.changes import Difference
from bakery.infra.rollout import Review, Rollout
from bakery.infra.stacks import Stack
from bakery.model.project import Project
from bakery.signing import TRUSTED_KEYS

BUSY = "another 'bakery diff' or 'bakery apply' is running in this workspace"


@dataclass(frozen=True)
class StackSelection:
    """The chosen stacks, each after those that it reads."""

    chosen: list[Stack]
    rollout: Rollout
    report: Reporter


@contextmanager
def select_stacks(
    project: Project, names: Sequence[str], patience: float, report: Reporter
) -> Iterator[StackSelection]:
    """Synthesize and select stacks, all if none is named; hold their folder until the block ends.

    Waits `patience` seconds for another run that holds it.
    """
    report(Event("note", "infra", "all stacks", _environment_note(os.environ)))
    waiting = Event("note", "infra", "all stacks", f"{BUSY}; waiting up to {patience:.0f} s")
    with files.exclusive(project.workspace / "stacks.lock", BUSY, patience, lambda: report(waiting)):
        cdktf = Cdktf(project, {**os.environ, TRUSTED_KEYS: str(write_trusted_keys(project))}, None, report)
        cdktf.synth()
        chosen = stacks.select(stacks.load(cdktf.output), names)
        yield StackSelection(chosen, Rollout(project, os.environ, report), report)


def apply_stacks(
    selection: StackSelection, review: Review, lock_seconds: float
) -> tuple[list[Difference], BakeryError | None]:
    """Apply in order, after a failure only the stacks that do not need it.

    `review` sees each plan and may refuse it. Returns the results and the error to raise.
    """
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


def refuse_destruction(difference: Difference) -> None:
    """Raise BakeryError if a plan destroys or replaces resources."""
    if difference.destructive:
        raise BakeryError(
            f"the plan of {difference.stack} destroys or replaces {count_of(len(difference.destructive), 'resource')}",
            detail="\n".join(f"{change.kind} {change.address}" for change in difference.destructive),
            hint="nothing of it was applied; if you want this, run again with --allow-destroy",
        )


def _combined_error(errors: Mapping[str, BakeryError], applied: Sequence[str], skips: Sequence[str]) -> BakeryError:
    """One error for all, with the stacks that are applied; partial if there are any, unless it asks to try again."""
    if len(errors) == 1:
        [error] = errors.values()
    else:
        hint = "run the same command again to apply the rest"
        error = join_errors(errors.items(), f"{count_of(len(errors), 'stack')} failed: {', '.join(errors)}", hint)
    rest = {"applied": applied, "skipped, since they depend on a failed stack": skips}
    error.detail = "\n".join(filter(None, [error.detail, *(f"{k}: {', '.join(v)}" for k, v in rest.items() if v)]))
    if applied and error.exit_code != ExitCode.TRY_AGAIN:
        return PartialError(error.message, where=error.where, detail=render_rest(error), hint=error.hint, log=error.log)
    return error


def _environment_note(environ: Mapping[str, str]) -> str:
    """The name of the environment, and a note if it is only the default."""
    unset = "" if environ.get("BAKERY_ENVIRONMENT") else " (BAKERY_ENVIRONMENT is not set)"
    return f"environment {env.environment_name(environ)}{unset}"
