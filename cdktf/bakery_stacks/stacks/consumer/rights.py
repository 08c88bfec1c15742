"""Roles in a consumer account that write, tag and read, and the grants for its Auto Scaling."""

from collections.abc import Sequence

from cdktf import Postcondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_iam_roles import DataAwsIamRoles
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.kms_grant import KmsGrant
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from bakery_stacks.blocks.auto_scaling import AUTO_SCALING, AUTO_SCALING_PATH, GRANTED
from bakery_stacks.blocks.pointer_guard import guard_pointers
from bakery_stacks.blocks.policy import Conditions, Statement, account_root, policy_document, statement
from bakery_stacks.blocks.publisher import (
    CONSUMER_ROLE,
    SESSION_SECONDS,
    TAGGER_ROLE,
    publisher_arns,
    use_statements,
)
from bakery_stacks.config import Environment, aws_partition

WRITE_PARAMETERS = ["ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameter"]
READ_PARAMETERS = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory"]


class ConsumerRoles(Construct):
    """The roles publisher, tagger and reader."""

    def __init__(self, scope: Construct, name: str, *, environment: Environment, account: str) -> None:
        super().__init__(scope, name)
        account_trust = _trust_statement("OwnAccount", account_root(aws_partition(environment.home_region), account))
        publish = _trust_publishers(environment)
        parameters, describe = _parameter_arns(environment, account), _describe_statement(environment)
        self.publisher_arn = self._make_role(
            "publisher",
            CONSUMER_ROLE,
            "Writes the parameters of machine images",
            [publish],
            # The parameter store checks the image with the writer's rights, and drops the value if they are missing.
            [
                statement("Parameters", WRITE_PARAMETERS, parameters),
                describe,
                *use_statements(environment),
                *guard_pointers(environment, account),
            ],
        )
        self.tagger_arn = self._make_role(
            "tagger",
            TAGGER_ROLE,
            "Tags shared machine images and their copies, which do not get the tags",
            [publish, account_trust],
            [_tag_statement(environment, account), describe],
        )
        self.reader_arn = self._make_role(
            "reader",
            f"bakery-{environment.name}-reader",
            "Lists machine images",
            [account_trust],
            [statement("Parameters", READ_PARAMETERS, parameters), describe],
        )

    def _make_role(
        self, name: str, role_name: str, description: str, trust: Sequence[Statement], rights: Sequence[Statement]
    ) -> str:
        role = IamRole(
            self,
            name,
            name=role_name,
            description=description,
            assume_role_policy=policy_document(*trust),
            max_session_duration=SESSION_SECONDS,
        )
        IamRolePolicy(self, f"{name}-policy", name=name, role=role.id, policy=policy_document(*rights))
        return role.arn


class AutoScalingGrants(Construct):
    """Lets the account's Auto Scaling start images that are encrypted with the owner's keys.

    Without a grant, instances terminate at once. Only the service's role in this account can use the grant, and only
    this account can retire it.
    """

    def __init__(
        self, scope: Construct, name: str, *, environment: str, root: str, keys: dict[str, tuple[str, AwsProvider]]
    ) -> None:
        """`keys`: region -> ARN of the key and provider."""
        super().__init__(scope, name)
        role = self._service_role()
        self.ids = {region: self._make_grant(region, environment, role, root, *key) for region, key in keys.items()}

    def _service_role(self) -> str:
        message = (
            "the account has no service-linked role for Auto Scaling yet: run "
            "'aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com' there, once."
        )
        exists = Postcondition(condition="${length(self.arns) == 1}", error_message=message)
        roles = DataAwsIamRoles(
            self,
            "service-role",
            path_prefix=AUTO_SCALING_PATH,
            name_regex=f"^{AUTO_SCALING}$",
            lifecycle=TerraformResourceLifecycle(postcondition=[exists]),
        )
        return f"${{one({roles.fqn}.arns)}}"

    def _make_grant(
        self, region: str, environment: str, role: str, root: str, key_arn: str, provider: AwsProvider
    ) -> str:
        grant = KmsGrant(
            self,
            region,
            name=f"bakery-{environment}-auto-scaling",
            key_id=key_arn,
            grantee_principal=role,
            operations=GRANTED,
            # The right to revoke covers all grants of the key; the right to retire covers this one.
            retiring_principal=root,
            retire_on_delete=True,
            provider=provider,
        )
        return grant.grant_id


def _trust_statement(sid: str, principal: str) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}}


def _trust_publishers(environment: Environment) -> Statement:
    """The roles are named by a condition: principals would have to exist before."""
    owner = account_root(aws_partition(environment.home_region), environment.account)
    condition = {"ArnEquals": {"aws:PrincipalArn": publisher_arns(environment)}}
    return {**_trust_statement("Publishers", owner), "Condition": condition}


def _region_condition(environment: Environment) -> Conditions:
    return {"StringEquals": {"aws:RequestedRegion": environment.regions}}


def _describe_statement(environment: Environment) -> Statement:
    """AWS checks this right without an image, so it cannot be limited to some images."""
    return statement("Look", ["ec2:DescribeImages"], ["*"], conditions=_region_condition(environment))


def _parameter_arns(environment: Environment, account: str) -> list[str]:
    home = aws_partition(environment.home_region)
    return [f"arn:{home}:ssm:{region}:{account}:parameter/bakery/*" for region in environment.regions]


def _tag_statement(environment: Environment, account: str) -> Statement:
    """Only the bakery's tags: the right must not change other tags, on which a team's policies may depend."""
    home = aws_partition(environment.home_region)
    conditions: Conditions = {
        "StringEquals": {
            "aws:RequestedRegion": environment.regions,
            "ec2:Owner": [environment.account, account],
        },
        "ForAllValues:StringLike": {"aws:TagKeys": ["bakery:*", "Name"]},
        "Null": {"aws:TagKeys": "false"},
    }
    images = [f"arn:{home}:ec2:*::image/*", f"arn:{home}:ec2:*::snapshot/*"]
    return statement("TagImages", ["ec2:CreateTags"], images, conditions=conditions)
