"""Regions from botocore's list, so that a misspelt name is found before anything is made."""

from collections.abc import Callable

from bakery.clouds.aws.session import core_session
from bakery.clouds.aws.settings import AwsDistribution
from bakery.host.errors import UsageError, raise_all, suggest
from bakery.model.definition import ImageDefinition


def check_regions(definition: ImageDefinition, where: Callable[..., str]) -> None:
    """Raise UsageError for every region that is unknown, named twice, or in another partition than the first.

    The function `where` turns keys of the definition into `file:line`.
    """
    aws = definition.distribution.of(AwsDistribution)
    assert aws
    partitions = _region_partitions()
    errors: list[UsageError] = []
    for number, region in enumerate(aws.regions):
        at = where("distribution", "aws", "regions", number)
        if region not in partitions:
            hint = suggest(region, partitions) or "if it is new, update boto3"
            errors.append(UsageError(f"there is no AWS region '{region}'", where=at, hint=hint))
        elif region in aws.regions[:number]:
            errors.append(UsageError(f"region '{region}' is named twice", where=at))
        elif partitions[region] != partitions.get(aws.regions[0], partitions[region]):
            errors.append(
                UsageError(
                    f"images cannot be copied from {aws.regions[0]} to {region}: they are in different partitions",
                    where=at,
                    hint="make a second definition for the other partition",
                )
            )
    raise_all(errors)


def _region_partitions() -> dict[str, str]:
    """The partition (aws, aws-cn, …) of every region that has EC2."""
    session = core_session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    }
