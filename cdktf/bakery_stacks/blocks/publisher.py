"""The rights of duties at AWS in this environment's regions, and the names of the roles that have them."""

from collections.abc import Sequence

from bakery.clouds.aws.settings import AwsDistribution
from bakery_stacks.blocks.pointer_guard import guard_pointers
from bakery_stacks.blocks.policy import Conditions, Statement, statement
from bakery_stacks.config import Environment, aws_partition, dns_suffix

SESSION_SECONDS = 7200  # copies to distant regions take longer than the default of one hour
# The roles that definitions assume in consumer accounts by default.
CONSUMER_ROLE: str = AwsDistribution.model_fields["consumer_role"].default
TAGGER_ROLE: str = AwsDistribution.model_fields["tagger_role"].default

# Keys of the catalog below its prefix (`bakery.catalog`), with an entry of the index for each version.
FAILURES = ["images/*/failures/*"]
VERSIONS = ["images/*/versions/*", "index/*", *FAILURES]

DESCRIBE = [
    "ec2:DescribeImages",
    "ec2:DescribeImageAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSnapshotAttribute",
]
# DescribeImageReferences looks with the rights of its caller (EC2 guide, "Identify your resources referencing specified
# AMIs"), and none of them can be limited to some resources there: the bakery has to see every user of an image.
DESCRIBE_USERS = [
    *("ec2:DescribeInstances", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"),
    *("ssm:DescribeParameters", "ssm:GetParameters"),
]
# The service through which these rights are good for nothing else (same page).
THROUGH_REFERENCES: Conditions = {"ForAnyValue:StringEquals": {"aws:CalledVia": ["ec2-images.amazonaws.com"]}}
# `bakery.clouds.aws` sets this tag in the call that creates a resource. The role changes only resources with the tag,
# and cannot add it to existing ones. It can copy any image: a source may be in another region, and AWS does not say
# whether its tags are known there. This means that the role can read the content of all images of the account.
BAKERY_TAG: Conditions = {"Null": {"aws:ResourceTag/bakery:image": "false"}}
# Packer's machines, groups, keys and volumes have this tag as well. Machines of stacks have that of their image alone.
BUILD_TAG = {"aws:ResourceTag/bakery:purpose": "build"}
NEW_BAKERY_TAG: Conditions = {"Null": {"aws:RequestTag/bakery:image": "false"}}
# Tags that are set in the call that creates an image or a snapshot (EC2 guide, "tag resources during creation").
TAG_ON_CREATE: Conditions = {"Null": {**NEW_BAKERY_TAG["Null"], "ec2:CreateAction": "false"}}
# The EBS direct API is not in that list. Only a snapshot that is being started has no time yet.
TAG_ON_START: Conditions = {"Null": {**NEW_BAKERY_TAG["Null"], "ec2:SnapshotTime": "true"}}


def publishing_rights(environment: Environment, bucket_arn: str, key_arns: Sequence[str]) -> list[Statement]:
    """All rights that publishing needs: versions, their life, and channels.

    No pointer of a version is changed or removed, even if its images are.
    """
    return [
        *image_statements(environment),
        _life_statement(environment),
        *use_statements(environment),
        *_sweep_statements(environment),
        _pointer_statement(environment),
        *_catalog_statements(bucket_arn, environment.catalog_prefix, ["*"]),
        *key_statements(key_arns),
        *_consumer_statements(environment),
        _topic_statement(environment),
        *guard_pointers(environment, environment.account),
    ]


def baking_rights(environment: Environment, bucket_arn: str, key_arn: str) -> list[Statement]:
    """Rights of jobs that bake: reserve versions and keep their contents; no channel, no image, no parameter."""
    return [
        *_catalog_statements(bucket_arn, environment.catalog_prefix, VERSIONS),
        _no_channel_statement(bucket_arn, environment.catalog_prefix),
        catalog_key_statement(environment, key_arn, writes=True),
        _topic_statement(environment),
    ]


def verifying_rights(environment: Environment, bucket_arn: str, key_arn: str) -> list[Statement]:
    """Rights of jobs that test disks: read the catalog, and keep failures in it."""
    return [
        *_catalog_statements(bucket_arn, environment.catalog_prefix, FAILURES),
        _no_channel_statement(bucket_arn, environment.catalog_prefix),
        catalog_key_statement(environment, key_arn, writes=True),
        _topic_statement(environment),
    ]


def image_statements(environment: Environment) -> list[Statement]:
    """Rights on images and snapshots, whose ARNs contain no account."""
    region = _region_condition(environment)
    home = aws_partition(environment.home_region)
    snapshots, images = f"arn:{home}:ec2:*::snapshot/*", f"arn:{home}:ec2:*::image/*"
    images_and_snapshots = [images, snapshots]
    create = ["ebs:StartSnapshot", "ec2:CopySnapshot"]
    # These snapshots become an image, or an encrypted copy, or are read back to see which bytes they have.
    use = [
        *("ebs:PutSnapshotBlock", "ebs:CompleteSnapshot", "ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock"),
        *("ec2:CopySnapshot", "ec2:RegisterImage"),
    ]
    change = ["ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute", "ec2:DeregisterImage", "ec2:DeleteSnapshot"]
    tag = ["ec2:CreateTags"]
    return [
        statement("Look", DESCRIBE, ["*"], conditions=region),
        statement("MakeSnapshots", create, [snapshots], conditions={**region, **NEW_BAKERY_TAG}),
        statement("UseSnapshots", use, [snapshots], conditions={**region, **BAKERY_TAG}),
        statement("RegisterImages", ["ec2:RegisterImage"], [images], conditions={**region, **NEW_BAKERY_TAG}),
        statement("CopyImages", ["ec2:CopyImage"], images_and_snapshots, conditions=region),
        statement("ChangeOurs", [*change, *tag], images_and_snapshots, conditions={**region, **BAKERY_TAG}),
        statement("TagNew", tag, images_and_snapshots, conditions={**region, **TAG_ON_CREATE}),
        statement("TagStarted", tag, [snapshots], conditions={**region, **TAG_ON_START}),
    ]


def _life_statement(environment: Environment) -> Statement:
    """Deprecate, disable and enable again; `image_statements` has the right to remove."""
    actions = ["ec2:DisableImage", "ec2:EnableImage", "ec2:EnableImageDeprecation", "ec2:DisableImageDeprecation"]
    images = f"arn:{aws_partition(environment.home_region)}:ec2:*::image/*"
    return statement("Life", actions, [images], conditions={**_region_condition(environment), **BAKERY_TAG})


def use_statements(environment: Environment) -> list[Statement]:
    """Rights to learn what refers to an image, in the account of the role."""
    region = _region_condition(environment)
    return [
        statement("LookForUses", ["ec2:DescribeImageReferences"], ["*"], conditions=region),
        statement("LookAtUsers", DESCRIBE_USERS, ["*"], conditions={**region, **THROUGH_REFERENCES}),
    ]


def _region_condition(environment: Environment) -> Conditions:
    return {"StringEquals": {"aws:RequestedRegion": environment.regions}}


def _sweep_statements(environment: Environment) -> list[Statement]:
    """Rights to remove what killed builds left: only what has the tag for builds. Stacks tag machines with an image."""
    region = {"aws:RequestedRegion": environment.regions}
    look = ["ec2:DescribeInstances", "ec2:DescribeKeyPairs", "ec2:DescribeSecurityGroups", "ec2:DescribeVolumes"]
    remove = ["ec2:TerminateInstances", "ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup", "ec2:DeleteVolume"]
    of_builds: Conditions = {"StringEquals": {**region, **BUILD_TAG}, **BAKERY_TAG}
    account = f"arn:{aws_partition(environment.home_region)}:ec2:*:{environment.account}"
    return [
        statement("LookForLeftovers", look, ["*"], conditions={"StringEquals": region}),
        statement("RemoveLeftovers", remove, [f"{account}:*"], conditions=of_builds),
    ]


def _pointer_statement(environment: Environment) -> Statement:
    actions = ["ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameter"]
    return statement("Pointers", actions, pointer_arns(environment))


def _catalog_statements(bucket_arn: str, prefix: str, written: Sequence[str]) -> list[Statement]:
    """Rights to read all keys and to write some. No role deletes, and `bakery.catalog` writes absent keys only."""
    return [
        statement("CatalogList", ["s3:ListBucket"], [bucket_arn]),
        statement("CatalogRead", ["s3:GetObject"], [f"{bucket_arn}/{prefix}/*"]),
        statement("CatalogWrite", ["s3:PutObject"], [f"{bucket_arn}/{prefix}/{keys}" for keys in written]),
    ]


def _no_channel_statement(bucket_arn: str, prefix: str) -> Statement:
    """The `*` of the allowed keys spans folders, so that a channel named `versions` would be one of them."""
    return statement("NoChannels", ["s3:PutObject"], [f"{bucket_arn}/{prefix}/images/*/channels/*"], effect="Deny")


def catalog_key_statement(environment: Environment, key_arn: str, *, writes: bool) -> Statement:
    """The key of the catalog's bucket, through S3 alone: it also encrypts images."""
    home = environment.home_region
    actions = ["kms:Decrypt", *(["kms:GenerateDataKey"] if writes else [])]
    through_s3: Conditions = {"StringEquals": {"kms:ViaService": f"s3.{home}.{dns_suffix(home)}"}}
    return statement("CatalogKey", actions, [key_arn], conditions=through_s3)


def key_statements(arns: Sequence[str]) -> list[Statement]:
    """EC2 creates a grant when it encrypts a copy; the role can create grants for AWS services only."""
    use = ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
    for_services: Conditions = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        statement("Keys", use, arns),
        statement("KeysForEc2", ["kms:CreateGrant"], arns, conditions=for_services),
    ]


def _consumer_statements(environment: Environment) -> list[Statement]:
    """Roles in consumer accounts write parameters and tags there; the stacks `consumer-ACCOUNT` create them."""
    if not environment.consumer_accounts:
        return []
    home = aws_partition(environment.home_region)
    roles = [
        f"arn:{home}:iam::{consumer.account}:role/{role}"
        for consumer in environment.consumer_accounts
        for role in (CONSUMER_ROLE, TAGGER_ROLE)
    ]
    return [statement("Consumers", ["sts:AssumeRole"], roles)]


def _topic_statement(environment: Environment) -> Statement:
    """Tell subscribers what happens to images; `bakery doctor` looks whether the topic is there."""
    home = environment.home_region
    topic = f"arn:{aws_partition(home)}:sns:{home}:{environment.account}:{environment.topic}"
    return statement("Notices", ["sns:Publish", "sns:GetTopicAttributes"], [topic])


def pointer_arns(environment: Environment) -> list[str]:
    """ARNs of the parameters that hold IDs of images, in the own account."""
    home = aws_partition(environment.home_region)
    return [f"arn:{home}:ssm:{region}:{environment.account}:parameter/bakery/*" for region in environment.regions]


def publisher_arns(environment: Environment) -> list[str]:
    """ARNs of the roles that may publish: the publisher's, that of GitLab jobs, and the one that Vault issues."""
    role_prefix = f"arn:{aws_partition(environment.home_region)}:iam::{environment.account}:role"
    engine = environment.vault_config.aws if environment.vault_config else None
    oidc = environment.runner.bakes.oidc if environment.runner else None
    return [
        f"{role_prefix}/{publisher_name(environment)}",
        *([f"{role_prefix}/{job_role_name(environment, 'publish')}"] if oidc else []),
        *([engine.publish.role_arn] if engine else []),
    ]


def publisher_name(environment: Environment) -> str:
    """The role of this account that publishes."""
    return f"bakery-{environment.name}-publisher"


def job_role_name(environment: Environment, role: str) -> str:
    """The role that GitLab jobs of some duties get for an ID token."""
    return f"bakery-{environment.name}-{role}"
