"""Measures parts of the work, for documents and reports."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Store the wall seconds of a successful block under `name`."""
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 3)
