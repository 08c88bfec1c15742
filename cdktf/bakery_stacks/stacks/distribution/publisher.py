"""The role that publishes."""

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from bakery_stacks.blocks.policy import account_root, policy_document
from bakery_stacks.blocks.publisher import SESSION_SECONDS, publisher_name, publishing_rights
from bakery_stacks.config import Environment, aws_partition


class Publisher(Construct):
    """The account's own policies say who may assume the role, such as the CI's role or a person."""

    def __init__(
        self, scope: Construct, name: str, *, environment: Environment, bucket_arn: str, key_arns: Sequence[str]
    ) -> None:
        super().__init__(scope, name)
        root = account_root(aws_partition(environment.home_region), environment.account)
        trust = {"Sid": "OwnAccount", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": root}}
        role = IamRole(
            self,
            "role",
            name=publisher_name(environment),
            description=f"Publishes machine images of {environment.name}",
            assume_role_policy=policy_document(trust),
            max_session_duration=SESSION_SECONDS,
        )
        policy = policy_document(*publishing_rights(environment, bucket_arn, key_arns))
        IamRolePolicy(self, "policy", name="publish", role=role.id, policy=policy)
        self.role_arn: str = role.arn
