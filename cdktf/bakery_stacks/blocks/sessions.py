"""Shells on machines by Session Manager, with a log. There is no SSH from outside."""

import json

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.ssm_document import SsmDocument
from constructs import Construct

from bakery_stacks.blocks.log_key import log_group_arn
from bakery_stacks.blocks.policy import Statement, statement
from bakery_stacks.config import Environment

IDLE_MINUTES = 20  # after which a forgotten session ends: Session Manager's own default
# Calls of the agent on a machine (Systems Manager, "Create a custom IAM role for Session Manager"). AWS's managed
# policy would also allow to read every parameter of the account, tokens included.
AGENT = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]


class Sessions(Construct):
    """A session document of a stack; `aws ssm start-session --document-name` names it."""

    def __init__(
        self, scope: Construct, name: str, *, environment: Environment, title: str, days: int, key_arn: str
    ) -> None:
        super().__init__(scope, name)
        group = CloudwatchLogGroup(
            self, "log", name=log_name(title), retention_in_days=days, kms_key_id=key_arn, skip_destroy=False
        )
        content = {
            "schemaVersion": "1.0",
            "description": f"A shell on a machine of {title}",
            "sessionType": "Standard_Stream",
            "inputs": {
                "cloudWatchLogGroupName": group.name,
                "cloudWatchEncryptionEnabled": True,
                "cloudWatchStreamingEnabled": True,
                "idleSessionTimeout": str(IDLE_MINUTES),
            },
        }
        document = SsmDocument(
            self, "document", name=title, document_type="Session", document_format="JSON", content=json.dumps(content)
        )
        self.document: str = document.name
        self.log_group: str = group.name


def log_name(title: str) -> str:
    """The log group of a stack's sessions."""
    return f"/{title}/sessions"


def session_rights(environment: Environment, title: str) -> list[Statement]:
    """The rights of a machine that these sessions run on."""
    streams = f"{log_group_arn(environment, log_name(title))}:*"
    write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    return [
        statement("SessionManager", AGENT, ["*"]),
        statement("SessionLogGroups", ["logs:DescribeLogGroups"], ["*"]),
        statement("SessionLog", write, [streams]),
    ]
