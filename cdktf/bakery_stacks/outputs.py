"""What stacks hand to each other: typed, by name, never the resources themselves.

The values are references; cdktf turns one that crosses stacks into an output there and a read of its state here.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkOutputs:
    """Where machines are put: private subnets of one VPC, one in each zone."""

    vpc_id: str
    cidr: str
    subnet_ids: Sequence[str]


@dataclass(frozen=True)
class DistributionOutputs:
    """What images are published with. `key_arns` by region."""

    key_arns: dict[str, str]
    catalog_bucket_arn: str
    topic_arn: str
