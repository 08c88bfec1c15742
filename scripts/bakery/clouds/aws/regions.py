"""Regions from botocore's list, so that a misspelt name is found before anything is made."""

import difflib
from collections.abc import Callable

from bakery.clouds.aws.session import core_session
from bakery.clouds.aws.settings import AwsDistribution
from bakery.host.errors import UsageError
from bakery.model.definition import ImageDefinition


def check_regions(definition: ImageDefinition, where: Callable[..., str]) -> None:
    """Raise UsageError for a region that is unknown, named twice, or in another partition than the first.

    The function `where` turns keys of the definition into `file:line`.
    """
    aws = definition.distribution.of(AwsDistribution)
    assert aws
    partitions = _region_partitions()
    for number, region in enumerate(aws.regions):
        at = where("distribution", "aws", "regions", number)
        if region not in partitions:
            near = difflib.get_close_matches(region, partitions, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "if it is new, update boto3"
            raise UsageError(f"there is no AWS region '{region}'", where=at, hint=hint)
        if region in aws.regions[:number]:
            raise UsageError(f"region '{region}' is named twice", where=at)
        if partitions[region] != partitions[aws.regions[0]]:
            raise UsageError(
                f"images cannot be copied from {aws.regions[0]} to {region}: they are in different partitions",
                where=at,
                hint="make a second definition for the other partition",
            )


def _region_partitions() -> dict[str, str]:
    """The partition (aws, aws-cn, …) of every region that has EC2."""
    session = core_session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    }
