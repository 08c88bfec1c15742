"""What rooms tell while they work; `bakery.reports` decides how it looks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Kind = Literal["start", "progress", "note", "done", "failed"]


@dataclass(frozen=True)
class Event:
    """One line of news. `room` is the verb, `subject` what it works on, `fraction` 0..1, `seconds` elapsed."""

    kind: Kind
    room: str
    subject: str
    text: str = ""
    fraction: float | None = None
    seconds: float | None = None


Tell = Callable[[Event], None]


def silent(event: Event) -> None:
    """A `Tell` for callers that do not watch."""


@contextmanager
def step(tell: Tell, room: str, subject: str, text: str) -> Iterator[None]:
    """Tell the start, the end and the seconds of a step, also when it raises."""
    began = time.monotonic()
    tell(Event("start", room, subject, text))
    try:
        yield
    except BaseException:
        tell(Event("failed", room, subject, text, seconds=time.monotonic() - began))
        raise
    tell(Event("done", room, subject, text, seconds=time.monotonic() - began))
