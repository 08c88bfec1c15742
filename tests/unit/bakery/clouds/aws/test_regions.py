"""Regions are checked without asking AWS."""

import pytest

from bakery.clouds.aws.regions import check_regions
from bakery.clouds.aws.settings import AwsDistribution
from bakery.host.errors import UsageError, render_error
from bakery.model.definition import ImageDefinition


def _check(definition: ImageDefinition, *regions: str) -> None:
    settings = definition.distribution.of(AwsDistribution)
    assert settings
    aws = settings.model_copy(update={"regions": regions})
    distribution = definition.distribution.model_copy(update={"aws": aws})
    check_regions(definition.model_copy(update={"distribution": distribution}), lambda *keys: repr(keys))


def test_real_regions(definition: ImageDefinition) -> None:
    _check(definition, "eu-central-1", "ap-southeast-2", "me-south-1")
    _check(definition, "cn-north-1", "cn-northwest-1")


@pytest.mark.parametrize(
    ("second", "message", "hint"),
    [
        ("eu-centrall-1", "there is no AWS region 'eu-centrall-1'", "did you mean 'eu-central-1'?"),
        ("xx-nowhere-9", "there is no AWS region 'xx-nowhere-9'", "if it is new, update boto3"),
        ("us-east-1", "region 'us-east-1' is named twice", ""),
        ("cn-north-1", "images cannot be copied from us-east-1 to cn-north-1", "make a second definition"),
    ],
)
def test_wrong_regions(definition: ImageDefinition, second: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        _check(definition, "us-east-1", second)
    assert caught.value.where == "('distribution', 'aws', 'regions', 1)"
    assert hint in caught.value.hint


def test_all_wrong_regions_are_reported(definition: ImageDefinition) -> None:
    with pytest.raises(UsageError, match="there is no AWS region 'eu-centrall-1'") as caught:
        _check(definition, "eu-centrall-1", "us-eastt-1", "us-west-2")
    assert [render_error(other) for other in caught.value.others] == [
        "('distribution', 'aws', 'regions', 1): there is no AWS region 'us-eastt-1' (did you mean 'us-east-1'?)"
    ]
