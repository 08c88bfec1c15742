"""Wait for another program or a cloud."""

import time
from collections.abc import Callable
from typing import TypeVar

FIRST_PAUSE = 1.0  # seconds between two probes, growing to LONGEST_PAUSE: short waits stay short
LONGEST_PAUSE = 15.0  # the interval of the AWS waiters

Result = TypeVar("Result")


def wait_until(probe: Callable[[], Result | None], timeout: float, pause: float | None = None) -> Result | None:
    """Probe until there is an answer; None after `timeout` seconds. Pauses grow unless `pause` sets one length.

    Runs on the caller's thread, so Ctrl-C ends it; an exception of `probe` ends it, too.
    """
    deadline = time.monotonic() + timeout
    length = FIRST_PAUSE if pause is None else pause
    while (answer := probe()) is None:
        remainder = deadline - time.monotonic()
        if remainder <= 0:
            return None
        time.sleep(min(length, remainder))
        if pause is None:
            length = min(length * 1.5, LONGEST_PAUSE)
    return answer
