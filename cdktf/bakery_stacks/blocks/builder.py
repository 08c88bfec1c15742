"""What Packer's amazon-ebs calls with our templates, beside what publishing does (plugin 1.8.2, `builder/common`).

It tags what it makes in the call that makes it, with the image's own tags, and changes nothing without them. The
exception are copies in other regions: it shares their snapshots first, and tags them then. So whoever has these rights
can share any image and any snapshot of the account, and make it its own by a tag.
"""

from bakery_stacks.blocks.policy import Conditions, Statement, statement
from bakery_stacks.blocks.publisher import OURS
from bakery_stacks.config import Environment, partition

LOOK = ["ec2:DescribeInstances", "ec2:DescribeRegions", "ec2:DescribeSecurityGroups", "ec2:DescribeVolumes"]
# A key pair, and the password behind it, for Windows only.
MAKE = ["ec2:RunInstances", "ec2:CreateImage", "ec2:CreateSecurityGroup", "ec2:CreateKeyPair"]
TAG = ["ec2:CreateTags"]
BY_MAKING: Conditions = {"Null": {"ec2:CreateAction": "false"}}  # else any machine could be made ours, and changed
CHANGE = [
    *("ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "ec2:DeleteKeyPair", "ec2:DeleteVolume"),
    *("ec2:GetPasswordData", "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances"),
]
IMAGES = ("image", "snapshot")  # which have no account in their ARNs
SHARE = ["ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"]


def rights(environment: Environment) -> list[Statement]:
    """To build an image from an instance, in this environment's regions only."""
    region: Conditions = {"StringEquals": {"aws:RequestedRegion": environment.regions}}
    home = partition(environment.home_region)
    own, public = f"arn:{home}:ec2:*:{environment.account}:*", [f"arn:{home}:ec2:*::{kind}/*" for kind in IMAGES]
    return [
        statement("LookAtBuilds", LOOK, ["*"], conditions=region),
        statement("Build", MAKE, [own, *public], conditions=region),
        statement("TagBuilds", TAG, [own], conditions={**region, **BY_MAKING}),
        statement("TagCopies", TAG, public, conditions=region),
        statement("ChangeBuilds", CHANGE, [own], conditions={**region, **OURS}),
        statement("ShareCopies", SHARE, public, conditions=region),
    ]
