"""Denials for every role that writes parameters: the parameter of a version never changes and never goes."""

from bakery_stacks.blocks.policy import Conditions, Statement
from bakery_stacks.config import Environment, aws_partition

# Systems Manager guide, "Preventing changes to existing parameters using ssm:Overwrite".
OVERWRITE: Conditions = {"StringEquals": {"ssm:Overwrite": ["true"]}}


def guard_pointers(environment: Environment, account: str) -> list[Statement]:
    """Statements for the policy of a role in an account. Only a channel moves, and only its parameter is removed."""
    partition = aws_partition(environment.home_region)
    channels = [f"arn:{partition}:ssm:*:{account}:parameter/bakery/*/channels/*"]
    return [
        {
            "Sid": "KeepVersions",
            "Effect": "Deny",
            "Action": ["ssm:PutParameter"],
            "NotResource": channels,
            "Condition": dict(OVERWRITE),
        },
        # A parameter that is deleted could be written again.
        {
            "Sid": "NeverDeleteVersions",
            "Effect": "Deny",
            "Action": ["ssm:DeleteParameter", "ssm:DeleteParameters"],
            "NotResource": channels,
        },
    ]
