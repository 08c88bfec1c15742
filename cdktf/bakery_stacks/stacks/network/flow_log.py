"""Who talked to whom in a VPC, accepted or refused, as encrypted logs."""

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.flow_log import FlowLog as AwsFlowLog
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, policy_document, statement
from bakery_stacks.config import Environment, aws_partition

WRITE_LOGS = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]


class FlowLog(Construct):
    """Every connection, gathered for ten minutes at a time: VPC's default."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        environment: Environment,
        title: str,
        vpc_id: str,
        days: int,
        key_arn: str,
    ) -> None:
        super().__init__(scope, name)
        group = CloudwatchLogGroup(
            self, "log", name=log_name(title), retention_in_days=days, kms_key_id=key_arn, skip_destroy=False
        )
        role = IamRole(
            self, "role", name=f"{title}-flow-log", assume_role_policy=policy_document(_trust_statement(environment))
        )
        write = statement("Write", WRITE_LOGS, [f"{group.arn}:*"])
        IamRolePolicy(self, "rights", name="write", role=role.id, policy=policy_document(write))
        AwsFlowLog(
            self,
            "flow",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
        )


def log_name(title: str) -> str:
    """The log group of a stack's VPC."""
    return f"/{title}/flow"


def _trust_statement(environment: Environment) -> Statement:
    """For flow logs of this account only (VPC, "IAM role for publishing flow logs"); their IDs are not known before."""
    home = environment.home_region
    flow_logs = f"arn:{aws_partition(home)}:ec2:{home}:{environment.account}:vpc-flow-log/*"
    return {
        "Sid": "FlowLogs",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
        "Condition": {
            "StringEquals": {"aws:SourceAccount": environment.account},
            "ArnLike": {"aws:SourceArn": flow_logs},
        },
    }
