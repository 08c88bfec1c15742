"""What a publisher reports while it works, how long each phase took, and how it waits for a cloud."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from bakery.host.events import Event, Reporter, report_step

FIRST_PAUSE = 1.0  # seconds between two looks, growing to LONGEST_PAUSE: short waits stay short
LONGEST_PAUSE = 15.0  # the interval of the AWS waiters

Share = Callable[[float], None]  # takes the fraction of a phase that is done, 0..1

Result = TypeVar("Result")


class Phases:
    """Tells what goes on and keeps the seconds of each phase by its name."""

    def __init__(self, report: Reporter, subject: str) -> None:
        self._report = report
        self._subject = subject
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str, text: str) -> Iterator[Share]:
        """Gives a function to report the share that is done, 0..1; it tells whole per cents only."""
        told = -1
        began = time.monotonic()

        def share(fraction: float) -> None:
            nonlocal told
            if int(fraction * 100) != told:
                told = int(fraction * 100)
                self._report(Event("progress", "publish", self._subject, text, fraction=fraction))

        with report_step(self._report, "publish", self._subject, text):
            yield share
        self.seconds[name] = round(time.monotonic() - began, 3)


def poll(look: Callable[[], Result | None], limit: float) -> Result | None:
    """Look until there is an answer; None after `limit` seconds. Runs on the caller's thread, so Ctrl-C ends it."""
    end = time.monotonic() + limit
    pause = FIRST_PAUSE
    while (answer := look()) is None:
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return answer
