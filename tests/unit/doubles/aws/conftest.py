"""One stand-in for the session, emptied before each test."""

from collections.abc import Iterator

import pytest

from doubles.aws.client import Double, running


@pytest.fixture(scope="session")
def server() -> Iterator[Double]:
    with running() as double:
        yield double


@pytest.fixture
def cloud(server: Double) -> Double:
    server.reset()
    return server
