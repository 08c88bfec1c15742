"""`bakery diff`: what an apply of stacks would change, and changes that were made outside of Terraform."""

from collections.abc import Sequence
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.stacks import Report, Stacks, open_stacks, write_report
from bakery.host import parallel
from bakery.host.errors import ExitCode, join_errors
from bakery.infra.changes import Difference
from bakery.model import documents
from bakery.reports import render_differences

PATIENCE = 60.0  # seconds; planning all stacks takes about that long


def diff(
    stacks: Stacks = None,
    json: options.Json = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when an apply would change something.")
    ] = False,
    report: Report = None,
    workspace: options.Workspace = options.WORKSPACE,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Show what an apply of stacks would change.

    Changes nothing and takes no lock. Names attributes, never their values, and lists changes made outside of Terraform
    separately.

    Example: bakery diff images
    """
    with open_stacks("diff", stacks, workspace, patience=PATIENCE, quiet=quiet, verbose=verbose) as selection:
        by_name = {stack.name: stack for stack in selection.chosen}
        outcomes = parallel.run_parallel(list(by_name), lambda name: selection.rollout.diff(by_name[name]), jobs=1)
        results = [outcome.result for outcome in outcomes if outcome.result]
        with write_report(report, results):
            print(
                documents.dump_all(results).decode() if json else render_differences(results), end="" if json else "\n"
            )
            _raise_failures(outcomes)
    return ExitCode.CHANGES if detailed_exitcode and any(each.pending for each in results) else ExitCode.OK


def _raise_failures(outcomes: Sequence[parallel.Outcome[Difference]]) -> None:
    failures = [(outcome.name, outcome.error) for outcome in outcomes if outcome.error]
    if not failures:
        return
    if len(outcomes) == 1:
        raise failures[0][1]
    raise join_errors(failures, f"{len(failures)} of {len(outcomes)} stacks cannot be planned")
