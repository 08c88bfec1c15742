"""Logins that are tried before a run, against the doubles of clouds."""

import pytest

from bakery.clouds import CLOUDS
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition
from doubles.aws.client import StandIn


def test_of_aws_in_the_environment(
    aws_server: StandIn, definition: ImageDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.url)
    with pytest.raises(BakeryError, match="cannot log in to AWS"):
        CLOUDS["aws"].try_login(definition, {})
    assert aws_server.actions() == []
    CLOUDS["aws"].try_login(definition, {"access_key": "test", "secret_key": "test"})
    assert aws_server.actions() == ["GetCallerIdentity"]
