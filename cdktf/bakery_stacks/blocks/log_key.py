"""The use of a key by CloudWatch, to encrypt a log group."""

from bakery_stacks.blocks.policy import Statement, statement
from bakery_stacks.config import Environment, aws_partition, dns_suffix

USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]


def log_encryption(environment: Environment, group: str) -> Statement:
    """Lets CloudWatch use a key for that log group, and no other (CloudWatch Logs, "Encrypt log data")."""
    home = environment.home_region
    return statement(
        "LogGroup",
        USE,
        ["*"],
        principals={"Service": f"logs.{home}.{dns_suffix(home)}"},
        conditions={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": log_group_arn(environment, group)}},
    )


def log_group_arn(environment: Environment, group: str) -> str:
    """The ARN of a log group that may not exist yet: the policy of its key needs it."""
    home = environment.home_region
    return f"arn:{aws_partition(home)}:logs:{home}:{environment.account}:log-group:{group}"
