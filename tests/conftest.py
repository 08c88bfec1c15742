"""What all tests share."""

import os
import signal


def pytest_configure() -> None:
    """Set what all programs of the tests inherit: they heed SIGINT in the background too, where shells ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["BAKERY_JOBS"] = "1"  # by default as many as the machine allows, whose lines come in any order
