"""One stage of several images in parallel: bake, verify or publish."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bakery.catalog import Record
from bakery.engine import steps
from bakery.engine.plan import Action
from bakery.engine.prerequisites import Work, require_all
from bakery.engine.session import Session
from bakery.engine.steps import BakeOptions
from bakery.host import parallel
from bakery.host.errors import BakeryError, NotFoundError, UsageError, raise_all
from bakery.host.parallel import Outcome
from bakery.model import baked
from bakery.model.baked import Baked
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Verdict
from bakery.model.version import ImageVersion


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
    options: BakeOptions,
    baked_before: datetime | None = None,
) -> Bakes:
    """Bake the named images, or all, if they are due or were baked before a time; not their parents.

    Raises one error with everything that the bakes lack before the first one.
    """
    selected = _select_by_builder(session, names or [], builders)
    actions = [action for action in session.plan(names, rebuild_asked=baked_before).actions if action.image in selected]
    due = {action.image: action for action in actions if action.kind in ("bake", "wait", "pause")}
    ready = [action for action in due.values() if action.kind == "bake" and not _is_baked(session, action)]
    require_all(session, [_plan_bake(session, action, builders) for action in ready])
    outcomes = parallel.run_parallel(
        list(due), lambda name: steps.bake_version(session, due[name], options, builders), jobs
    )
    return Bakes(outcomes, [action for action in actions if action.image not in due])


def _plan_bake(session: Session, action: Action, builders: Sequence[str]) -> Work:
    definition = session.definitions.images[action.image]
    selected = steps.select_builders(definition, builders)
    return Work(definition, selected, (), action.next_version, action.inputs, action.input_key)


def _is_baked(session: Session, action: Action) -> bool:
    """Whether an earlier run baked all parts of a version, so that its bake needs nothing more.

    The bake of an image reports a part that is damaged, as the other images are baked nevertheless.
    """
    try:
        parts = baked.load(session.project, session.definitions.images[action.image], action.next_version).parts
    except BakeryError:
        return False
    return all(part.input_key == action.input_key for part in parts)


def _select_by_builder(session: Session, names: Sequence[str], builders: Sequence[str]) -> set[str]:
    """The images that have one of these builders; UsageError for each image that is named and has none of them."""
    definitions = session.definitions.select(names)
    others = [definition for definition in definitions if not steps.select_builders(definition, builders)]
    if names:
        raise_all(
            [
                UsageError(
                    f"{definition.name} has no builder {' or '.join(builders)}",
                    where=session.definitions.where(definition.name, "base"),
                    hint=f"it has {' and '.join(definition.builders)}",
                )
                for definition in others
            ]
        )
    return {definition.name for definition in definitions if definition not in others}


def verify_images(session: Session, names: list[str] | None, jobs: int) -> list[Outcome[Verdict]]:
    """Test the newest baked disks. An image that Packer builds at a target was tested there."""

    def verify(name: str) -> Verdict:
        return steps.verify_version(session, session.newest_artifact(session.definitions.images[name]))

    selected = session.definitions.select(names or [])
    return parallel.run_parallel(
        [definition.name for definition in selected if "qemu" in definition.builders], verify, jobs
    )


def publish_images(session: Session, names: list[str] | None, channel: str, jobs: int) -> list[Outcome[Record]]:
    """Publish the newest baked versions and move their channels, or `channel` if that is given.

    A version that is complete is repaired where it is not as it should be, and need not be in the workspace, unless its
    image was baked again since.
    """
    actions = {action.image: action for action in session.plan(names).actions}

    def publish(name: str) -> Record:
        definition, action = session.definitions.images[name], actions[name]
        if action.kind in ("keep", "publish", "promote") and not channel and not _was_rebuilt(session, action):
            return publish_again(session, definition, action.version)
        return steps.publish_version(session, session.newest_baked(definition), channel)

    selected = [definition.name for definition in session.definitions.select(names or [])]
    outcomes = parallel.run_parallel(selected, publish, jobs)
    session.catalog.renew_heads()
    return outcomes


def _was_rebuilt(session: Session, action: Action) -> bool:
    """Whether the workspace has a version that was baked again from the inputs of a complete one, and not published."""
    try:
        newest = session.newest_baked(session.definitions.images[action.image])
    except NotFoundError:
        return False
    is_new = session.catalog.record(newest).state == "reserved"
    return is_new and all(part.input_key == action.input_key for part in newest.parts)


def publish_again(session: Session, definition: ImageDefinition, version: str) -> Record:
    """Publish a complete version wherever it is missing.

    A target that never had it takes it from the workspace, or else from an image elsewhere; one that has lost all of
    its images takes it from the workspace.
    """
    record = session.catalog.record(ImageVersion(definition.name, definition.arch, version))
    in_workspace = baked.anything(session.project, definition, version)
    if not in_workspace or all(record.publication(name) for name in definition.targets):
        try:
            return steps.distribute_version(session, definition.name, version, follow=True)
        except NotFoundError:
            if not in_workspace:
                raise
    return steps.publish_version(session, session.load_baked(definition, version))
