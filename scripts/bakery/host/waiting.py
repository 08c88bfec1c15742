"""Wait for another program or a cloud."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from bakery.host.parallel import is_interrupted

FIRST_PAUSE = 1.0  # seconds between two probes, growing to LONGEST_PAUSE: short waits stay short
LONGEST_PAUSE = 15.0  # the interval of the AWS waiters
MOMENT = 0.5  # seconds after which a thread looks whether the program was interrupted

Result = TypeVar("Result")


def wait_until(probe: Callable[[], Result | None], timeout: float, pause: float | None = None) -> Result | None:
    """Probe until there is an answer; None after `timeout` seconds. Pauses grow unless `pause` sets one length.

    Runs on the caller's thread. Ctrl-C ends it within a moment, on other threads too, and so does an error of `probe`.
    """
    deadline = time.monotonic() + timeout
    length = FIRST_PAUSE if pause is None else pause
    while (answer := probe()) is None:
        remainder = deadline - time.monotonic()
        if remainder <= 0:
            return None
        pause_for(min(length, remainder))
        if pause is None:
            length = min(length * 1.5, LONGEST_PAUSE)
    return answer


def pause_for(seconds: float) -> None:
    """Sleep; KeyboardInterrupt once the program was interrupted, which Python itself raises in the main thread only."""
    if threading.current_thread() is threading.main_thread():
        time.sleep(seconds)
        return
    while seconds > 0:
        if is_interrupted():
            raise KeyboardInterrupt
        time.sleep(min(seconds, MOMENT))
        seconds -= MOMENT
