"""The rights of Packer's amazon-ebs builder, besides those of publishing (plugin 1.8.2, `builder/common`).

The builder tags each resource in the call that creates it, and changes only resources with the tag. Copies in other
regions are an exception: it shares their snapshots first, and tags them later. A role with these rights can therefore
share and tag any image and any snapshot of the account.
"""

from bakery_stacks.blocks.policy import Conditions, Statement, statement
from bakery_stacks.blocks.publisher import BAKERY_TAG
from bakery_stacks.config import Environment, aws_partition

DESCRIBE = ["ec2:DescribeInstances", "ec2:DescribeRegions", "ec2:DescribeSecurityGroups", "ec2:DescribeVolumes"]
# A key pair, and the password behind it, for Windows only.
CREATE = ["ec2:RunInstances", "ec2:CreateImage", "ec2:CreateSecurityGroup", "ec2:CreateKeyPair"]
TAG = ["ec2:CreateTags"]
TAG_ON_CREATE: Conditions = {
    "Null": {"ec2:CreateAction": "false"}
}  # without it, the role could tag any machine, and then change it
CHANGE = [
    *("ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "ec2:DeleteKeyPair", "ec2:DeleteVolume"),
    *("ec2:GetPasswordData", "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances"),
]
IMAGES = ("image", "snapshot")  # their ARNs contain no account
SHARE = ["ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"]


def build_rights(environment: Environment) -> list[Statement]:
    """The rights to build an image from an instance, in this environment's regions only."""
    region: Conditions = {"StringEquals": {"aws:RequestedRegion": environment.regions}}
    home = aws_partition(environment.home_region)
    account_arn, public = (
        f"arn:{home}:ec2:*:{environment.account}:*",
        [f"arn:{home}:ec2:*::{kind}/*" for kind in IMAGES],
    )
    return [
        statement("LookAtBuilds", DESCRIBE, ["*"], conditions=region),
        statement("Build", CREATE, [account_arn, *public], conditions=region),
        statement("TagBuilds", TAG, [account_arn], conditions={**region, **TAG_ON_CREATE}),
        statement("TagCopies", TAG, public, conditions=region),
        statement("ChangeBuilds", CHANGE, [account_arn], conditions={**region, **BAKERY_TAG}),
        statement("ShareCopies", SHARE, public, conditions=region),
    ]
