"""The stand-in, emptied before each test."""

import pytest

from doubles.aws.client import StandIn


@pytest.fixture
def cloud(aws_server: StandIn) -> StandIn:
    aws_server.reset()
    return aws_server
