"""The events that stages report while they work; `bakery.reports` shows them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Kind = Literal["start", "progress", "note", "done", "failed"]


@dataclass(frozen=True)
class Event:
    """One line of progress. `stage` is the verb, `subject` its object, `fraction` 0..1, `seconds` the elapsed time."""

    kind: Kind
    stage: str
    subject: str
    text: str = ""
    fraction: float | None = None
    seconds: float | None = None


Reporter = Callable[[Event], None]


def silent(event: Event) -> None:
    """A `Reporter` that ignores all events."""


@contextmanager
def report_step(report: Reporter, stage: str, subject: str, text: str) -> Iterator[None]:
    """Report the start, the end and the seconds of a step, even if it raises an error."""
    began = time.monotonic()
    report(Event("start", stage, subject, text))
    try:
        yield
    except BaseException:
        report(Event("failed", stage, subject, text, seconds=time.monotonic() - began))
        raise
    report(Event("done", stage, subject, text, seconds=time.monotonic() - began))
