"""How long an assumed role lasts."""

import time
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from doubles.aws.client import HOME_REGION, SESSION, StandIn

ROLE = "arn:aws:iam::222222222222:role/bakery-bake"


def assume(sts: Any, **asked: int) -> dict[str, Any]:
    answer: dict[str, Any] = sts.assume_role(RoleArn=ROLE, RoleSessionName="test", **asked)["Credentials"]
    return answer


@pytest.mark.parametrize(("asked", "seconds"), [({}, 3600), ({"DurationSeconds": 43_200}, 43_200)])
def test_as_long_as_it_was_asked_for(cloud: StandIn, asked: dict[str, int], seconds: int) -> None:
    ends = assume(cloud.client("sts"), **asked)["Expiration"]
    assert ends.timestamp() - time.time() == pytest.approx(seconds, abs=30)


@pytest.mark.parametrize("seconds", [899, 43_201])
def test_neither_shorter_nor_longer_than_a_role_can_be(cloud: StandIn, seconds: int) -> None:
    unchecked = Config(parameter_validation=False)  # boto3 refuses some of it by itself
    sts = SESSION.client("sts", HOME_REGION, endpoint_url=cloud.url, config=unchecked)
    with pytest.raises(ClientError, match="ValidationError"):
        assume(sts, DurationSeconds=seconds)


def test_an_hour_for_a_role_that_a_role_assumes(cloud: StandIn) -> None:
    sts = cloud.client("sts", account="222222222222")
    assume(sts, DurationSeconds=3600)
    with pytest.raises(ClientError, match="1 hour session limit"):
        assume(sts, DurationSeconds=3601)
