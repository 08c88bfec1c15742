"""The common part of `bakery diff` and `bakery apply`: the environment's stacks, and the report for GitLab."""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bakery.cli import options, reportfile
from bakery.cli.session import show_events
from bakery.engine.session import locate_stacks
from bakery.host import files
from bakery.host.events import Event, Reporter
from bakery.infra import changes, env, stacks
from bakery.infra.cdktf import Cdktf
from bakery.infra.changes import Difference
from bakery.infra.rollout import Rollout
from bakery.infra.stacks import Stack

Stacks = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STACK",
        help=f"Stacks of the environment (BAKERY_ENVIRONMENT, default {env.ENVIRONMENT}); all if none is named.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        help="Write the numbers as GitLab's report 'terraform' to this file.",
        callback=reportfile.check_writable,
    ),
]
BUSY = "another 'bakery diff' or 'bakery apply' is running in this workspace"


@dataclass(frozen=True)
class Opened:
    """The chosen stacks, each after those that it reads."""

    chosen: list[Stack]
    rollout: Rollout
    report: Reporter


@contextmanager
def open_stacks(
    verb: str, names: list[str] | None, workspace: Path, *, patience: float, quiet: bool, verbose: bool
) -> Iterator[Opened]:
    """Synthesize and select stacks, and hold their folder until the block ends. Waits `patience` seconds for it."""
    project = locate_stacks(options.DEFINITIONS, workspace)
    with show_events(project, verb, quiet=quiet, verbose=verbose) as report, ExitStack() as stack:
        report(Event("note", "infra", "all stacks", _environment_note(os.environ)))
        lock = project.workspace / "stacks.lock"
        waiting = Event("note", "infra", "all stacks", f"{BUSY}; waiting up to {patience:.0f} s")
        stack.enter_context(files.exclusive(lock, BUSY, patience, lambda: report(waiting)))
        cdktf = Cdktf(project, os.environ, None, report)
        cdktf.synth()
        chosen = stacks.select(stacks.load(cdktf.output), names or [])
        yield Opened(chosen, Rollout(project, os.environ, report), report)


def write_report(path: Path | None, results: Collection[Difference]) -> AbstractContextManager[None]:
    """At the end of the block, write the file of --report, if the user asks for it, from the `results` so far."""
    return reportfile.write_at_end(path, lambda: json.dumps(changes.report(list(results))).encode())


def _environment_note(environ: Mapping[str, str]) -> str:
    """The name of the environment, and a note if it is only the default."""
    unset = "" if environ.get("BAKERY_ENVIRONMENT") else " (BAKERY_ENVIRONMENT is not set)"
    return f"environment {env.environment_name(environ)}{unset}"
