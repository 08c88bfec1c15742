"""What all tests share."""

import signal


def pytest_configure() -> None:
    """Heed SIGINT in the background too, where shells ignore it: what tests start inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
