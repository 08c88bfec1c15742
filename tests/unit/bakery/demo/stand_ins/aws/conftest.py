"""The stand-in, emptied before each test."""

import pytest

from doubles.aws.client import Double


@pytest.fixture
def cloud(aws_server: Double) -> Double:
    aws_server.reset()
    return aws_server
