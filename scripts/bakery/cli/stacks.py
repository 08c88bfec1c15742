"""Options of `bakery diff` and `bakery apply`, and the report for GitLab."""

import json
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bakery.cli import options, reportfile
from bakery.cli.completion import complete_stacks
from bakery.cli.session import show_events
from bakery.engine.session import locate_stacks
from bakery.engine.stacks import StackSelection, select_stacks
from bakery.infra import changes, env
from bakery.infra.changes import Difference

Stacks = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STACK",
        help=f"Stacks of the environment (BAKERY_ENVIRONMENT, default {env.ENVIRONMENT}); all if none is named.",
        autocompletion=complete_stacks,
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


@contextmanager
def open_stacks(
    verb: str, names: list[str] | None, workspace: Path, *, patience: float, quiet: bool, verbose: bool
) -> Iterator[StackSelection]:
    """Select stacks for a verb whose events are shown."""
    project = locate_stacks(options.DEFINITIONS, workspace)
    with (
        show_events(project, verb, quiet=quiet, verbose=verbose) as report,
        select_stacks(project, names or [], patience, report) as selection,
    ):
        yield selection


def write_report(path: Path | None, results: Collection[Difference]) -> AbstractContextManager[None]:
    """At the end of the block, write the file of --report, if the user asks for it, from the `results` so far."""
    return reportfile.write_at_end(path, lambda: json.dumps(changes.report(list(results))).encode())
