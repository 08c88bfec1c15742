"""`bakery sweep`: remove what ended runs left at the targets."""

from collections.abc import Iterator, Mapping, Sequence

from bakery.cli import options
from bakery.cli.consent import require_consent
from bakery.cli.session import session
from bakery.engine.session import Session
from bakery.engine.sweep import SweepAction, SweepPlan, Swept, list_scopes, plan_sweep, sweep_image
from bakery.host.errors import BakeryError, PartialError, join_errors
from bakery.host.parallel import Outcome, run_parallel
from bakery.host.text import count_of
from bakery.model import documents
from bakery.reports import render_table

HINT = "run it again: what is gone stays gone, and only the rest is tried"


def sweep(
    images: options.Images = None,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Remove what ended runs left at the targets.

    Finds temporary machines, key pairs, security groups and uploads of runs that ended, and images, snapshots and disks
    of versions that were never completed. Keeps what is younger than a day, what a run has reserved, and what a record
    names. Lists the rest, and asks before it removes anything. Shows what it cannot account for as unknown, and never
    removes it: a run of another catalog may have made it. Looks for images of the catalog that have no definition any
    more at the targets of the others.

    Example: bakery sweep web --dry-run
    """
    with session(
        definitions, workspace, catalog, verb="sweep", must_exist=True, json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        scopes = {scope.name: scope for scope in list_scopes(verb_session, images or [])}
        outcomes = run_parallel(list(scopes), lambda name: plan_sweep(verb_session, scopes[name]), jobs)
        plans = {outcome.name: outcome.result for outcome in outcomes if outcome.result}
        actions = [action for plan in plans.values() for action in plan.actions]
        if json:
            print(documents.dump_all(actions).decode(), end="")
        elif dry_run or not (quiet and yes):
            print(render(actions), flush=True)
        swept = {} if dry_run else _sweep_all(verb_session, plans, yes, jobs)
        if not (json or dry_run or quiet):
            count = sum(len(outcome.removed) for outcome in swept.values())
            print(f"{count_of(count, 'resource')} removed")
        _raise_failures(outcomes, plans, swept)


def render(actions: Sequence[SweepAction]) -> str:
    """A line per action, and a summary."""
    columns = ("image", "version", "target", "location", "kind", "id", "outcome", "reason")
    rows = [tuple(getattr(action, column) or "-" for column in columns) for action in actions]
    removals = sum(action.outcome == "remove" for action in actions)
    summary = f"{count_of(removals, 'resource')} to remove, {len(actions) - removals} unknown"
    return "\n\n".join([*([render_table(columns, rows)] if rows else []), summary])


def _sweep_all(verb_session: Session, plans: Mapping[str, SweepPlan], yes: bool, jobs: int) -> dict[str, Swept]:
    """Remove what the plans remove, image by image; UsageError if nobody agrees."""
    removals = {name: plan.removals for name, plan in plans.items() if plan.removals}
    if not removals:
        return {}
    if not yes:
        require_consent(f"remove {count_of(sum(map(len, removals.values())), 'resource')}?", "--yes")

    def sweep_one(name: str) -> Swept:
        try:
            return sweep_image(verb_session, removals[name])
        except BakeryError as error:  # before anything of it was removed
            return Swept(failures={action.name: error for action in removals[name]})

    outcomes = run_parallel(list(removals), sweep_one, jobs)
    return {outcome.name: outcome.result for outcome in outcomes if outcome.result}


def _raise_failures(
    outcomes: Sequence[Outcome[SweepPlan]], plans: Mapping[str, SweepPlan], swept: Mapping[str, Swept]
) -> None:
    """One error with each location that did not answer and each resource that stays.

    It is partial if something was removed, or if other locations answered and nothing in them stays.
    """
    unseen = [(outcome.name, outcome.error) for outcome in outcomes if outcome.error]
    unseen += [failure for plan in plans.values() for failure in plan.failures.items()]
    staying = list(_list_staying(swept))
    if not unseen and not staying:
        return
    removed = any(outcome.removed for outcome in swept.values())
    answered = any(plan.locations for plan in plans.values())
    texts = [count_of(len(unseen), "location") + " did not answer"] if unseen else []
    texts += [count_of(len(staying), "resource") + " could not be removed"] if staying else []
    kind = PartialError if removed or (answered and not staying) else BakeryError
    raise join_errors([*unseen, *staying], ", ".join(texts), HINT, kind)


def _list_staying(swept: Mapping[str, Swept]) -> Iterator[tuple[str, BakeryError]]:
    for image, outcome in swept.items():
        yield from ((f"{image} {name}", error) for name, error in outcome.failures.items())
