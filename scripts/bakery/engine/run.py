"""Work on several images in parallel, parents first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bakery.catalog import Record
from bakery.engine import steps
from bakery.engine.plan import Action
from bakery.engine.prerequisites import Work, require_all
from bakery.engine.session import Session
from bakery.host import parallel
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.host.parallel import Outcome
from bakery.model.baked import Baked
from bakery.model.documents import Verdict


@dataclass(frozen=True)
class Bakes:
    """The result of `bake_images`: an outcome for each image that was due, and the actions of the other images."""

    outcomes: list[Outcome[Baked]]
    unchanged: list[Action]


def bake_images(
    session: Session,
    names: list[str] | None,
    builders: Sequence[str],
    jobs: int,
    baked_before: datetime | None = None,
    keep: bool = False,
) -> Bakes:
    """Bake the named images, or all, if they are due or were baked before a time; not their parents.

    `keep` keeps the disks of bakes that fail on this machine. Raises one error with everything that the bakes lack
    before the first one.
    """
    selected = {definition.name for definition in session.definitions.select(names or [])}
    actions = [action for action in session.plan(names, rebuild_asked=baked_before).actions if action.image in selected]
    due = {action.image: action for action in actions if action.kind in ("bake", "wait", "pause")}
    ready = [action for action in due.values() if action.kind == "bake"]
    require_all(session, [_plan_bake(session, action, builders) for action in ready])
    outcomes = parallel.run_parallel(
        list(due), lambda name: steps.bake_version(session, due[name], builders, keep), jobs
    )
    return Bakes(outcomes, [action for action in actions if action.image not in due])


def verify_images(session: Session, names: list[str] | None, jobs: int) -> list[Outcome[Verdict]]:
    """Test the newest baked disks. An image that Packer builds at a target was tested there."""

    def verify(name: str) -> Verdict:
        return steps.verify_version(session, session.newest_artifact(session.definitions.images[name]))

    selected = session.definitions.select(names or [])
    return parallel.run_parallel(
        [definition.name for definition in selected if "qemu" in definition.builders], verify, jobs
    )


def publish_images(session: Session, names: list[str] | None, channel: str, jobs: int) -> list[Outcome[Record]]:
    """Publish the newest baked versions and move their channels, or `channel` if that is given."""

    def publish(name: str) -> Record:
        return steps.publish_version(session, session.newest_baked(session.definitions.images[name]), channel)

    return parallel.run_parallel(
        [definition.name for definition in session.definitions.select(names or [])], publish, jobs
    )


def run_images(session: Session, names: list[str] | None, jobs: int, rebuild: bool = False) -> list[Record]:
    """Do all steps of each image level by level of the lineage until nothing is due; returns the new records.

    The plan is made again after each level: if a new parent has the same content, its children need no bake. `rebuild`
    bakes the named images, or all, even if nothing is due. Before the first level, one error names everything that the
    due images lack, and those that wait for a parent.
    """
    rebuild_asked = datetime.now(UTC) if rebuild else None
    outcomes: list[Outcome[Record]] = []
    examined: set[str] = set()
    while True:
        plan = session.plan(names, rebuild_asked=rebuild_asked)
        unexamined = [action for action in plan.pending if action.image not in examined]
        require_all(session, [_plan_run(session, action) for action in unexamined])
        examined |= {action.image for action in unexamined}
        attempted = {outcome.name for outcome in outcomes}
        due = {action.image: action for action in plan.actions if action.kind in ("bake", "publish", "pause")}
        ready = [name for name in due if name not in attempted]
        if not ready:
            break
        for name in ready:
            session.report(Event("note", "plan", name, f"{due[name].kind}: {due[name].reason}"))
        outcomes += parallel.run_parallel(ready, lambda name: _run_action(session, due[name]), jobs)  # noqa: B023 - the call ends in this iteration
    for action in plan.actions:
        if action.kind == "keep":
            session.report(Event("note", "plan", action.image, f"keep {action.version}: {action.reason}"))
    waiting = [action.image for action in plan.actions if action.kind == "wait"]
    parallel.raise_failures(outcomes, waiting)
    if due:
        raise BakeryError(
            f"{', '.join(due)} changed again during the run", detail=due[next(iter(due))].reason, hint="run again"
        )
    return [outcome.result for outcome in outcomes if outcome.result]


def _plan_bake(session: Session, action: Action, builders: Sequence[str]) -> Work:
    definition = session.definitions.images[action.image]
    return Work(definition, steps.select_builders(definition, builders), (), action.next_version, action.inputs)


def _plan_run(session: Session, action: Action) -> Work:
    definition = session.definitions.images[action.image]
    builders = () if action.kind == "publish" else definition.builders
    return Work(definition, builders, definition.targets, action.next_version, action.inputs)


def _run_action(session: Session, action: Action) -> Record:
    if action.kind == "publish":
        version = session.load_baked(session.definitions.images[action.image], action.version)
    else:
        version = steps.bake_version(session, action)
        if version.artifact and not steps.is_verified(session, version.artifact):
            steps.verify_version(session, version.artifact)
    return steps.publish_version(session, version)
