"""The rights of Packer's amazon-ebs builder, besides those of publishing (plugin 1.8.2, `builder/common`).

The builder tags each resource in the call that creates it: with `bakery:image`, and what lives no longer than the build
with `bakery:purpose` = `build`, too. It changes only the latter, and makes an image only of such a machine: machines of
stacks have the first tag. A subnet or a security group of the account's owner is usable if the owner tagged it
`bakery:builds`. Snapshots of copies in other regions are an exception: it shares them first, and tags them later. A
role with these rights can therefore share any snapshot of the account.
"""

from bakery_stacks.blocks.policy import Conditions, Statement, statement
from bakery_stacks.blocks.publisher import BAKERY_TAG, BUILD_TAG, NEW_BAKERY_TAG, TAG_ON_CREATE
from bakery_stacks.config import Environment, aws_partition

DESCRIBE = [
    *("ec2:DescribeInstances", "ec2:DescribeRegions", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets"),
    "ec2:DescribeVolumes",
]
# The tag of subnets and security groups in which builds may run.
BUILD_NETWORK: Conditions = {"Null": {"aws:ResourceTag/bakery:builds": "false"}}
START, IMAGE = ["ec2:RunInstances"], ["ec2:CreateImage"]
# A key pair, and the password behind it, for Windows only.
ACCESS = ["ec2:CreateSecurityGroup", "ec2:CreateKeyPair"]
TAG = ["ec2:CreateTags"]
CHANGE = [
    *("ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "ec2:DeleteKeyPair", "ec2:DeleteVolume"),
    *("ec2:GetPasswordData", "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances"),
]
IMAGES = ("image", "snapshot")  # their ARNs contain no account
SHARE = ["ec2:ModifySnapshotAttribute"]
TUNNEL = "AWS-StartPortForwardingSession"  # the document of Session Manager that Packer starts


def build_rights(environment: Environment) -> list[Statement]:
    """The rights to build an image from an instance, in this environment's regions only."""
    regions = {"aws:RequestedRegion": environment.regions}
    region: Conditions = {"StringEquals": regions}
    home = aws_partition(environment.home_region)
    account = f"arn:{home}:ec2:*:{environment.account}"
    images, snapshots = (f"arn:{home}:ec2:*::{kind}/*" for kind in IMAGES)
    instances, volumes, cards, groups, keys, subnets, vpcs = (
        f"{account}:{kind}/*"
        for kind in ("instance", "volume", "network-interface", "security-group", "key-pair", "subnet", "vpc")
    )
    made: Conditions = {**region, **NEW_BAKERY_TAG}
    ours: Conditions = {**region, **BAKERY_TAG}
    of_builds: Conditions = {"StringEquals": {**regions, **BUILD_TAG}, **BAKERY_TAG}
    return [
        statement("LookAtBuilds", DESCRIBE, ["*"], conditions=region),
        # Each of these three names only what the call makes: the tags of a request hold for all that it touches.
        statement("Start", START, [instances, volumes, cards], conditions=made),
        statement("MakeImage", IMAGE, [images, snapshots], conditions=made),
        statement("MakeAccess", ACCESS, [groups, keys], conditions=made),
        statement("MakeGroupIn", ["ec2:CreateSecurityGroup"], [vpcs], conditions=region),
        # A machine starts from a public image or from one of ours, never from another one of the account.
        statement("StartPublic", START, [images], conditions={**region, "Bool": {"ec2:Public": "true"}}),
        statement("StartOurs", START, [images, snapshots, groups, keys], conditions=ours),
        statement("StartIn", START, [subnets, groups], conditions={**region, **BUILD_NETWORK}),
        statement("ImageOfBuilds", IMAGE, [instances], conditions=of_builds),
        statement("TagBuilds", TAG, [f"{account}:*"], conditions={**region, **TAG_ON_CREATE}),
        statement("TagCopies", TAG, [images, snapshots], conditions=made),
        statement("ChangeBuilds", CHANGE, [f"{account}:*"], conditions=of_builds),
        statement("ShareCopies", SHARE, [snapshots], conditions=region),
        *_session_statements(environment, home, instances),
    ]


def _session_statements(environment: Environment, partition: str, instances: str) -> list[Statement]:
    """For builds behind Session Manager: a tunnel to a machine that a build made, and the role of its profile."""
    document = f"arn:{partition}:ssm:*::document/{TUNNEL}"
    to_ec2: Conditions = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    profile = f"arn:{partition}:iam::{environment.account}"
    of_builds: Conditions = {"StringEquals": {"ssm:resourceTag/bakery:purpose": "build"}}
    return [
        statement("Tunnel", ["ssm:StartSession"], [instances], conditions=of_builds),
        statement("TunnelDocument", ["ssm:StartSession"], [document]),
        statement(
            "LookAtProfile", ["iam:GetInstanceProfile"], [f"{profile}:instance-profile/{build_name(environment)}"]
        ),
        statement("PassProfile", ["iam:PassRole"], [f"{profile}:role/{build_name(environment)}"], conditions=to_ec2),
    ]


def build_name(environment: Environment) -> str:
    """The role, and the instance profile of the same name, that a build's machine may get."""
    return f"bakery-{environment.name}-build"
