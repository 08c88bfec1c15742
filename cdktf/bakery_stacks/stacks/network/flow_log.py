"""The flow log of a VPC: accepted and refused connections, encrypted."""

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.flow_log import FlowLog as AwsFlowLog
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, policy_document, statement
from bakery_stacks.config import Environment, aws_partition

WRITE_LOGS = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]


class FlowLog(Construct):
    """Records every connection, aggregated over ten minutes: the default of VPC."""

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
    """Trust for flow logs of this account, whose IDs are not known yet (VPC, "IAM role for publishing flow logs")."""
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
