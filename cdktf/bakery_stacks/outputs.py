"""The outputs that stacks pass to each other: typed values, never resources.

The values are references. cdktf turns a reference to another stack into an output there and a read of its state.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkOutputs:
    """A VPC and its private subnets for machines, one in each zone."""

    vpc_id: str
    cidr: str
    subnet_ids: Sequence[str]


@dataclass(frozen=True)
class DistributionOutputs:
    """The resources that images are published with. `key_arns` has one key for each region."""

    key_arns: dict[str, str]
    catalog_bucket_arn: str
    topic_arn: str
