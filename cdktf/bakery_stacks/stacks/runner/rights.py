"""Rights of the manager: scale one group, log in to its machines, read the token, sign URLs of the cache."""

from collections.abc import Sequence

from bakery_stacks.blocks.policy import Conditions, Statement, statement
from bakery_stacks.config import Environment, aws_partition, dns_suffix
from bakery_stacks.stacks.runner import registry
from bakery_stacks.stacks.runner.config_toml import WORKER_USER, ResourceNames
from bakery_stacks.stacks.runner.settings import Runner


def manager_rights(
    environment: Environment, runner: Runner, names: ResourceNames, key_arn: str, repository_arn: str
) -> list[Statement]:
    """All rights of the manager, except for sessions."""
    group, login = names.worker_group, runner.workers.login
    parameters = [runner.token_parameter, *([login.private_key_parameter] if login else [])]
    return [
        *scaling_rights(environment, group),
        *([] if login else [login_right(environment, group)]),
        *secret_rights(environment, parameters, key_arn),
        *cache_rights(environment, names.cache_bucket, key_arn),
        *registry.pull_rights(repository_arn),
    ]


def scaling_rights(environment: Environment, group: str) -> list[Statement]:
    """Calls of the fleeting plugin ("Recommended IAM policy"). AWS has no narrower form of the two that read."""
    home = environment.home_region
    groups = f"arn:{aws_partition(home)}:autoscaling:{home}:{environment.account}:autoScalingGroup"
    change = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    return [
        statement("ScaleWorkers", change, [f"{groups}:*:autoScalingGroupName/{group}"]),
        statement("SeeWorkers", ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"], ["*"]),
    ]


def login_right(environment: Environment, group: str) -> Statement:
    """EC2 Instance Connect, to machines of that group, as that user."""
    home = environment.home_region
    conditions: Conditions = {
        "StringEquals": {"aws:ResourceTag/aws:autoscaling:groupName": group, "ec2:osuser": WORKER_USER}
    }
    machines = f"arn:{aws_partition(home)}:ec2:{home}:{environment.account}:instance/*"
    return statement("LogInToWorkers", ["ec2-instance-connect:SendSSHPublicKey"], [machines], conditions=conditions)


def secret_rights(environment: Environment, parameters: Sequence[str], key_arn: str) -> list[Statement]:
    """Parameters that are encrypted with the account's key for SSM, or with the key of the stack."""
    home = environment.home_region
    arns = [f"arn:{aws_partition(home)}:ssm:{home}:{environment.account}:parameter{name}" for name in parameters]
    conditions: Conditions = {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": arns}}
    return [
        statement("Secrets", ["ssm:GetParameter"], arns),
        statement("SecretsKey", ["kms:Decrypt"], [key_arn], conditions=conditions),
    ]


def cache_rights(environment: Environment, bucket: str, key_arn: str) -> list[Statement]:
    """URLs that the manager signs give workers its rights on single objects."""
    home = environment.home_region
    through_s3: Conditions = {"StringEquals": {"kms:ViaService": f"s3.{home}.{dns_suffix(home)}"}}
    return [
        statement("Cache", ["s3:GetObject", "s3:PutObject"], [f"arn:{aws_partition(home)}:s3:::{bucket}/*"]),
        statement("CacheKey", ["kms:Decrypt", "kms:GenerateDataKey"], [key_arn], conditions=through_s3),
    ]
