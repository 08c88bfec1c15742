"""Regions of AWS, from botocore's list, so that a misspelt name is found before anything is created."""

from functools import cache
from typing import Annotated

from pydantic import AfterValidator

from bakery.clouds.aws.settings import Region
from bakery.host.errors import suggest
from bakery.model.validation import field_error


def _check_region(region: str) -> str:
    if region not in _aws_regions():
        hint = suggest(region, _aws_regions()) or "if it is new, update boto3"
        raise field_error(f"there is no AWS region '{region}'", hint)
    return region


@cache
def _aws_regions() -> frozenset[str]:
    from botocore.loaders import Loader  # takes 0.2 s

    partitions = Loader().load_data("endpoints")["partitions"]
    return frozenset(region for partition in partitions for region in partition["regions"])


KnownRegion = Annotated[Region, AfterValidator(_check_region)]
