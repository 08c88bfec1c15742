"""What `bakery diff` and `bakery apply` share: the stacks of the environment, and the report for GitLab."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bakery import files
from bakery.cli import options
from bakery.cli.session import locate, watching
from bakery.events import Event, Tell
from bakery.infra import changes, stacks
from bakery.infra.cdktf import Cdktf
from bakery.infra.changes import Difference
from bakery.infra.rollout import Rollout, patiently
from bakery.infra.stacks import Stack

Stacks = Annotated[
    list[str] | None, typer.Argument(metavar="STACK", help="Names of stacks; all of the environment if none is given.")
]
Report = Annotated[
    Path | None, typer.Option("--report", help="Write the numbers as GitLab's report 'terraform' to this file.")
]
BUSY = "another 'bakery diff' or 'bakery apply' works in this workspace"


@dataclass(frozen=True)
class Opened:
    """The chosen stacks, each after those that it reads."""

    chosen: list[Stack]
    rollout: Rollout
    tell: Tell


@contextmanager
def opened(
    verb: str, names: list[str] | None, workspace: Path, *, patience: float, quiet: bool, verbose: bool
) -> Iterator[Opened]:
    """Synthesize and select. The folder of the stacks is ours until the end; waits `patience` seconds for it."""
    project = locate(options.DEFINITIONS, workspace)
    with watching(project, verb, quiet=quiet, verbose=verbose) as tell, ExitStack() as held:
        lock = project.workspace / "stacks.lock"
        patiently(
            lambda: held.enter_context(files.exclusive(lock, BUSY)),
            patience,
            lambda text: tell(Event("note", "infra", "all stacks", text)),
        )
        cdktf = Cdktf(project, os.environ, None, tell)
        cdktf.synth()
        chosen = stacks.select(stacks.load(cdktf.output), names or [])
        yield Opened(chosen, Rollout(project, os.environ, tell), tell)


def write_report(path: Path | None, found: Sequence[Difference]) -> None:
    """The file of --report, if it was asked for."""
    if path:
        files.write_atomic(path, json.dumps(changes.report(found)).encode())
