"""`bakery retire`: deprecate, disable and remove old versions."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from bakery.cli import options
from bakery.cli.completion import complete_version_names
from bakery.cli.consent import require_consent
from bakery.cli.session import session
from bakery.engine.blockers import Texts
from bakery.engine.overview import find_record
from bakery.engine.retirement import (
    Retirement,
    plan_image,
    plan_versions,
    retire_versions,
    settle_image,
)
from bakery.engine.session import Session
from bakery.engine.uses import read_states
from bakery.host.errors import ExitCode, UsageError
from bakery.host.events import Event
from bakery.host.parallel import Outcome, raise_failures, run_parallel
from bakery.host.text import count_of
from bakery.model import documents
from bakery.reports import render_table

RetiredState = Literal["deprecated", "disabled", "removed"]

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Images, or versions as IMAGE@VERSION; all images if none is given.",
        autocompletion=complete_version_names,
    ),
]
To = Annotated[RetiredState | None, typer.Option("--to", help="Bring the named versions to this state now.")]
States = Annotated[
    list[Path] | None,
    typer.Option("--terraform-state", metavar="FILE", help="Keep versions whose images this state of Terraform names."),
]


def retire(
    names: Names = None,
    to: To = None,
    reason: Annotated[str, typer.Option("--reason", help="The reason, which the record keeps.")] = "",
    terraform_states: States = None,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Deprecate, disable and remove old versions.

    The key `retention` of a definition says after how many days. A version takes one step at a time: first it is not
    offered any more, then its images are disabled, then they and their snapshots are removed. 'bakery restore' undoes
    the first two. Keeps versions that a channel, an instance, a launch template, a parameter, another image or a state
    of Terraform refers to, and says so. --json prints the steps, whether they are done or not. A version that a person
    restored stays until the definition's `retention` changes, or --to names another state for it.

    Example: bakery retire --dry-run

    Example: bakery retire web@1.0.1 --to disabled --reason "replaced"
    """
    states = read_states(terraform_states or [])
    with session(
        definitions, workspace, catalog, verb="retire", must_exist=True, json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        if to:
            selected = _require_versions(names or [])
            planned = _plan_versions(verb_session, selected, to, reason or "asked for", states)
            outcomes: Sequence[Outcome[object]] = planned
            steps = [outcome.result for outcome in planned if outcome.result]
        elif reason:
            raise UsageError("--reason is for named versions", hint="the policy has reasons of its own: leave it out")
        else:
            selected = _select_images(verb_session, names or [])
            images = run_parallel(selected, partial(plan_image, verb_session, states=states), jobs)
            outcomes = images
            steps = [step for image in images for step in image.result or ()]
        due = [step for step in steps if not step.blockers]
        if json:
            print(documents.dump_all(steps).decode(), end="")
        elif not quiet or not yes:
            print(render(steps), flush=True)
        settled: list[Outcome[None]] = []
        if not dry_run:
            if due and not yes:
                require_consent(f"{_count_steps(due)}?", "--yes")
            settled = run_parallel([] if to else selected, partial(settle_image, verb_session), jobs)
            records = retire_versions(verb_session, due, states)
            if records and not json and not quiet:
                print("\n".join(f"{record.image} {record.version} is {record.state}" for record in records))
        raise_failures([*settled, *outcomes], nouns="versions" if to else "images")
    if to and len(due) < len(steps):
        return ExitCode.PARTIAL if due else ExitCode.FAILED
    return ExitCode.OK


def _require_versions(names: list[str]) -> list[str]:
    """Names of versions; UsageError if there is none, or one is of a whole image."""
    if not names or not all("@" in name for name in names):
        raise UsageError("--to needs the names of versions", hint="such as 'bakery retire web@1.0.1 --to disabled'")
    return list(dict.fromkeys(names))


def _select_images(verb_session: Session, names: list[str]) -> list[str]:
    """The images of these names, or all, that have a policy; UsageError if a name is of a version."""
    if versions := [name for name in names if "@" in name]:
        raise UsageError(f"{versions[0]} names a version", hint="add --to with the state that it should have")
    selected = verb_session.definitions.select(names)
    for definition in selected if names else ():
        if definition.retention is None:
            text = "its definition has no retention: nothing is retired"
            verb_session.report(Event("note", "retire", definition.name, text))
    return [definition.name for definition in selected if definition.retention]


def _plan_versions(
    verb_session: Session, names: list[str], to: RetiredState, reason: str, states: Texts
) -> list[Outcome[Retirement]]:
    """The step of each named version; the versions that the catalog does not have come first."""
    look_ups = run_parallel(names, lambda name: find_record(verb_session.catalog, name, options.ARCH), 1)
    records = [look_up.result for look_up in look_ups if look_up.result]
    unknown = [Outcome[Retirement](look_up.name, None, look_up.error) for look_up in look_ups if look_up.error]
    return [*unknown, *plan_versions(verb_session, records, to, reason, states)]


def render(steps: Sequence[Retirement]) -> str:
    """A line per step, with all that blocks it."""
    if not steps:
        return "nothing to retire"
    rows = [
        (step.image, step.version, f"{step.before} -> {step.after}", step.reason, "; ".join(step.blockers) or "-")
        for step in steps
    ]
    return render_table(("image", "version", "step", "reason", "kept because"), rows)


def _count_steps(steps: Sequence[Retirement]) -> str:
    counts = Counter(step.after for step in steps)
    return ", ".join(f"{count_of(count, 'version')} will be {state}" for state, count in sorted(counts.items()))
