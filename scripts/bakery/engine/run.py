"""All stages of several images in parallel, parents first."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from bakery.catalog import Record
from bakery.engine import steps
from bakery.engine.durations import PUBLISH, read_seconds
from bakery.engine.plan import Action, Plan
from bakery.engine.prerequisites import Work, require_all
from bakery.engine.progress import Progress
from bakery.engine.session import Session
from bakery.engine.stages import publish_again
from bakery.engine.steps import BakeOptions
from bakery.host import parallel
from bakery.host.errors import BakeryError, raise_all
from bakery.host.events import Event
from bakery.host.files import explain_refusals
from bakery.host.parallel import Outcome


@dataclass(frozen=True)
class PublishedVersion:
    """A version that a run published.

    `channel` points at it now, and pointed at the version `before` until then; both are empty without one. `seconds`
    are those of its steps by name, `last_seconds` those of the version that was the newest one before.
    """

    record: Record
    channel: str
    before: str
    seconds: Mapping[str, float]
    last_seconds: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """The result of `run_images`: an outcome for each image that was due, and the actions of images that were kept.

    `skipped` are images whose parent failed, `due` those that changed again meanwhile. `seconds` are of all the work.
    `stop` is the error that ended the run while images were due, and `unbegun` are those that had not begun then.
    """

    outcomes: Sequence[Outcome[PublishedVersion]]
    unchanged: Sequence[Action]
    skipped: Sequence[str]
    due: Sequence[Action]
    seconds: float
    stop: BakeryError | None = None
    unbegun: Sequence[str] = ()

    @property
    def published(self) -> list[PublishedVersion]:
        """The versions that were published."""
        return [outcome.result for outcome in self.outcomes if outcome.result]

    @property
    def records(self) -> list[Record]:
        """The records of the versions that were published."""
        return [version.record for version in self.published]

    def require_success(self) -> None:
        """Raise one error for all images that failed, or were not up to date at the end.

        The error that ended the run comes first, with the failures of images beside it.
        """
        failure = parallel.join_failures(self.outcomes, self.skipped)
        raise_all([error for error in (self.stop, failure) if error])
        if self.due:
            names = ", ".join(action.image for action in self.due)
            raise BakeryError(f"{names} changed again during the run", detail=self.due[0].reason, hint="run again")


def run_images(
    session: Session, names: list[str] | None, jobs: int, options: BakeOptions, *, rebuild: bool = False
) -> Run:
    """Do all steps of each image, and of its children as soon as it is published, until nothing is due.

    The plan is made again when a parent is done: if it has the same content as before, its children need no bake. If
    that fails, no other image begins, and those that run go on to their end.

    `rebuild` bakes the named images, or all, from no layer, even if nothing is due. Before the first bake, one error
    names everything that the due images lack, and those that wait for a parent.
    """
    began = time.monotonic()
    session.catalog.renew_heads()
    with parallel.threads(jobs) as submit:
        asked = datetime.now(UTC) if rebuild else None
        scheduler = _Scheduler(session, names, _ImageThreads(submit), Progress(session, jobs), options, asked)
        stop = scheduler.run_all()
    return scheduler.describe(stop, time.monotonic() - began)


class _Scheduler:
    """Begins the images of a run as they become due: the plan is made again whenever a parent is done."""

    def __init__(
        self,
        session: Session,
        names: list[str] | None,
        threads: "_ImageThreads",
        progress: Progress,
        options: BakeOptions,
        rebuild_asked: datetime | None,
    ) -> None:
        self._session = session
        self._names = names
        self._threads = threads
        self._progress = progress
        self._options = options
        self._rebuild_asked = rebuild_asked
        self._plan = Plan(())
        self._examined: set[str] = set()
        self._unchanged: dict[str, Action] = {}

    def run_all(self) -> BakeryError | None:
        """Work until nothing is due; the error that ended this before. Raises it if no image had begun."""
        try:
            with explain_refusals():
                self._begin_due()
                while not self._threads.are_idle:
                    self._threads.await_any(_list_parents(self._session, self._plan.waiting))
                    self._begin_due()
                self._session.catalog.renew_heads()
        except BakeryError as error:
            if not self._threads.have_begun:
                raise
            with suppress(BakeryError):  # a full disk is often the error itself
                text = f"no other image begins, and those that run go on: {error.message}"
                self._session.report(Event("note", "plan", "run", text))
            self._threads.await_running()
            return error
        return None

    def describe(self, stop: BakeryError | None, seconds: float) -> Run:
        """The result of the run; the error that ended it gets the images that had not begun."""
        threads, plan = self._threads, self._plan
        unchanged = [action for action in self._unchanged.values() if not threads.has_begun(action.image)]
        skipped = _list_skipped(self._session, plan.waiting, threads)
        outcomes = list(threads.outcomes.values())
        if stop is None:
            return Run(outcomes, unchanged, skipped, self._due, seconds)
        changing = [action.image for action in plan.actions if action.kind != "keep"]
        unbegun = [image for image in changing if not threads.has_begun(image) and image not in skipped]
        lines = [f"{image}: not started, since the run stopped at this error" for image in unbegun]
        stop.detail = "\n".join(filter(None, (stop.detail, *lines)))
        return Run(outcomes, unchanged, skipped, [], seconds, stop, unbegun)

    @property
    def _due(self) -> list[Action]:
        return [action for action in self._plan.actions if action.kind not in ("wait", "keep")]

    def _begin_due(self) -> None:
        """Plan again, and begin the images that are due by now."""
        session, threads = self._session, self._threads
        self._plan = session.plan(self._names, rebuild_asked=self._rebuild_asked)
        for action in self._plan.actions:
            if action.kind == "keep" and not threads.has_begun(action.image) and action.image not in self._unchanged:
                session.report(Event("note", "plan", action.image, f"keep {action.version}: {action.reason}"))
                self._unchanged[action.image] = action
        unexamined = [action for action in self._plan.pending if action.image not in self._examined]
        require_all(session, [_plan_run(session, action) for action in unexamined])
        self._examined |= {action.image for action in unexamined}
        self._progress.expect_images(self._plan, threads.outcomes.keys())
        for action in self._due:
            if not threads.has_begun(action.image):
                session.report(Event("note", "plan", action.image, f"{action.kind}: {action.reason}"))
                fresh = bool(self._rebuild_asked) and action.image in (self._names or [action.image])
                options = replace(self._options, fresh=fresh)
                threads.begin(action.image, partial(_run_action, session, action, self._progress, options))


def _list_parents(session: Session, actions: Sequence[Action]) -> set[str]:
    parents = (session.definitions.images[action.image].parent for action in actions)
    return {parent for parent in parents if parent}


def _list_skipped(session: Session, waiting: Sequence[Action], threads: "_ImageThreads") -> list[str]:
    """The images that did not begin since their parent failed. A parent that changed again is due itself."""
    stopped = [image for image, outcome in threads.outcomes.items() if outcome.error]
    skipped: list[str] = []
    for action in waiting:  # parents first
        if session.definitions.images[action.image].parent in stopped + skipped and not threads.has_begun(action.image):
            skipped.append(action.image)
    return skipped


class _ImageThreads:
    """The images of a run that have begun or wait for a thread. Each is running until `await_any` sees its end."""

    def __init__(self, submit: parallel.Submit) -> None:
        self._submit = submit
        self._begun: list[str] = []
        self._running: dict[str, Future[Outcome[PublishedVersion]]] = {}
        self._outcomes: dict[str, Outcome[PublishedVersion]] = {}

    @property
    def outcomes(self) -> dict[str, Outcome[PublishedVersion]]:
        """The outcomes by image, in the order in which these began."""
        return {image: self._outcomes[image] for image in self._begun if image in self._outcomes}

    @property
    def are_idle(self) -> bool:
        """Whether no image is running."""
        return not self._running

    @property
    def have_begun(self) -> bool:
        """Whether any image has begun."""
        return bool(self._begun)

    def has_begun(self, image: str) -> bool:
        return image in self._begun

    def begin(self, image: str, publish: Callable[[], PublishedVersion]) -> None:
        """Do the steps of an image as soon as a thread is free."""
        self._begun.append(image)
        self._running[image] = self._submit(partial(parallel.attempt, image, publish))

    def await_any(self, images: Collection[str]) -> None:
        """Wait until the steps of one of these images end, or those of all that have begun."""
        while self._running:
            wait(self._running.values(), return_when=FIRST_COMPLETED)
            ended = [image for image, future in self._running.items() if future.done()]
            self._outcomes |= {image: self._running.pop(image).result() for image in ended}
            if not set(ended).isdisjoint(images):
                return

    def await_running(self) -> None:
        """Wait until the steps of all images end that have a thread. The others do not begin any more."""
        for image in [image for image, future in self._running.items() if future.cancel()]:
            del self._running[image]
            self._begun.remove(image)
        self.await_any(())


def _plan_run(session: Session, action: Action) -> Work:
    definition = session.definitions.images[action.image]
    builders = () if action.kind in ("publish", "promote") else definition.builders
    return Work(definition, builders, definition.targets, action.next_version, action.inputs, action.input_key)


def _run_action(session: Session, action: Action, progress: Progress, options: BakeOptions) -> PublishedVersion:
    definition = session.definitions.images[action.image]
    with progress.work_on(action.image) as last_seconds:
        record = _make_record(session, action, options)
    seconds = read_seconds(session.project, definition, record) if action.kind != "promote" else {}
    if action.kind == "publish":
        seconds = {step: number for step, number in seconds.items() if step.startswith(PUBLISH)}
    stays = action.hold or (action.move and action.move.after != record.version)
    channel = "" if stays else definition.channel or ""
    unmoved = record.version if channel else ""
    before = action.move.before if action.move else unmoved
    return PublishedVersion(record, channel, before, seconds, last_seconds)


def _make_record(session: Session, action: Action, options: BakeOptions) -> Record:
    """Do what is due for an image; the record of its version."""
    definition = session.definitions.images[action.image]
    if action.kind in ("publish", "promote"):
        return publish_again(session, definition, action.version)
    version = steps.bake_version(session, action, options)
    if version.artifact and not steps.is_verified(session, version.artifact):
        steps.verify_version(session, version.artifact)
    return steps.publish_version(session, version)
