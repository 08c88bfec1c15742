"""How long parts of the work take, for documents and reports."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Keep the wall seconds of a block that succeeds under `name`."""
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 3)
