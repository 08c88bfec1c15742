"""How far a run is: which image begins, of how many, and the time left."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from bakery.engine.durations import describe_rest, expect_seconds, read_seconds
from bakery.engine.plan import Plan
from bakery.engine.session import Session
from bakery.host.events import Event


class Progress:
    """Reports which image begins, of how many, and the time left, if earlier versions say how long they took."""

    def __init__(self, session: Session, jobs: int) -> None:
        self._session = session
        self._jobs = jobs
        self._lock = threading.Lock()
        self._last_seconds: dict[str, dict[str, float]] = {}
        self._expected: dict[str, float | None] = {}  # of images that are not finished
        self._began: dict[str, float] = {}

    def expect_images(self, plan: Plan, finished: Collection[str]) -> None:
        """Take the images that a plan has left. A child of an image that failed does not begin."""
        skipped: set[str] = set()
        expected: dict[str, float | None] = {}
        for action in plan.actions:
            definition = self._session.definitions.images[action.image]
            if action.kind == "wait" and definition.parent in skipped.union(finished):
                skipped.add(action.image)
            elif action.kind != "keep" and action.image not in finished:
                record = self._session.newest_record(definition) if action.kind != "pause" else None
                seconds = read_seconds(self._session.project, definition, record) if record else {}
                self._last_seconds.setdefault(action.image, seconds)
                expected[action.image] = expect_seconds(seconds, bakes=action.kind in ("bake", "wait"))
        with self._lock:
            self._expected = expected

    @contextmanager
    def work_on(self, image: str) -> Iterator[Mapping[str, float]]:
        """Report an image that begins; the seconds that the steps of its last version took."""
        with self._lock:
            self._began[image] = time.monotonic()
            total = len(self._began.keys() | self._expected.keys())
            rest = describe_rest([self._estimate_rest(name) for name in self._expected], self._jobs)
            text = ", ".join(filter(None, (f"image {len(self._began)} of {total}", rest)))
            self._session.report(Event("note", "run", image, text))
        try:
            yield self._last_seconds[image]
        finally:
            with self._lock:
                self._expected.pop(image, None)  # a plan that was made meanwhile may not have it any more

    def _estimate_rest(self, image: str) -> float | None:
        expected, began = self._expected[image], self._began.get(image)
        if expected is None or began is None:
            return expected
        return max(0, expected - (time.monotonic() - began))
