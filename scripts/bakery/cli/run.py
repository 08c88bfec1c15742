"""`bakery run`: the whole line for every image that needs it, parents first."""

from bakery.catalog import Record
from bakery.cli import options
from bakery.cli.publish import render
from bakery.cli.session import session
from bakery.engine import steps as line
from bakery.engine.plan import Action
from bakery.engine.session import Session
from bakery.host import parallel
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.model import documents


def run(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Do the whole line for images that need it.

    Plans, bakes, verifies, publishes and records them and all they are built on, parents first.

    Example: bakery run web
    """
    with session(definitions, workspace, catalog, verb="run", quiet=quiet, verbose=verbose) as opened:
        records = run_line(opened, images, jobs)
        if json:
            print(documents.dump_all(records).decode(), end="")
        else:
            print(render(records) if records else "nothing to do: every image is up to date")


def run_line(opened: Session, images: list[str] | None, jobs: int) -> list[Record]:
    """Work level by level of the lineage until nothing is due; returns the new records.

    After each level the plan is made again: a parent that came out the same leaves its children alone.
    """
    outcomes: list[parallel.Outcome[Record]] = []
    while True:
        planned = opened.plan(images)
        worked = {outcome.name for outcome in outcomes}
        due = {action.image: action for action in planned.actions if action.kind in ("bake", "publish")}
        ready = [name for name in due if name not in worked]
        if not ready:
            break
        for name in ready:
            opened.report(Event("note", "plan", name, f"{due[name].kind}: {due[name].reason}"))
        outcomes += parallel.run_parallel(ready, lambda name: _work(opened, due[name]), jobs)  # noqa: B023 - done here
    for action in planned.actions:
        if action.kind == "keep":
            opened.report(Event("note", "plan", action.image, f"keep {action.version}: {action.reason}"))
    waiting = [action.image for action in planned.actions if action.kind == "wait"]
    parallel.raise_failures(outcomes, waiting)
    if due:
        raise BakeryError(
            f"{', '.join(due)} changed again while the line ran", detail=due[next(iter(due))].reason, hint="run again"
        )
    return [outcome.result for outcome in outcomes if outcome.result]


def _work(opened: Session, action: Action) -> Record:
    if action.kind == "publish":
        whole = opened.whole(opened.definitions.images[action.image], action.version)
    else:
        whole = line.bake_image(opened, action)
        if whole.artifact and not line.verified(opened, whole.artifact):
            line.verify_image(opened, whole.artifact)
    return line.publish_image(opened, whole)
