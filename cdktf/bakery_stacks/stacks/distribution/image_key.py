"""The key that encrypts the images of a region. The key of the home region also encrypts catalog and topic."""

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from bakery_stacks.blocks.auto_scaling import AUTO_SCALING, AUTO_SCALING_PATH, GRANTED
from bakery_stacks.blocks.policy import Conditions, Statement, account_root, policy_document, statement
from bakery_stacks.blocks.stack_key import WAITING_DAYS, WAITING_DAYS_DISPOSABLE
from bakery_stacks.config import Environment, aws_partition

# The actions of GRANTED, for a role that starts machines itself.
START_MACHINES = ["kms:Decrypt", "kms:DescribeKey", "kms:ReEncrypt*", "kms:GenerateDataKeyWithoutPlaintext"]
FOR_SERVICES: Conditions = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


class ImageKey(Construct):
    """A rotating key with the alias that definitions name as `kms_alias`."""

    def __init__(
        self, scope: Construct, name: str, *, environment: Environment, region: str, provider: AwsProvider
    ) -> None:
        super().__init__(scope, name)
        key = KmsKey(
            self,
            "key",
            description=f"Machine images of {environment.name}",
            enable_key_rotation=True,
            deletion_window_in_days=WAITING_DAYS_DISPOSABLE if environment.disposable else WAITING_DAYS,
            policy=key_policy(environment, region),
            provider=provider,
            lifecycle=None if environment.disposable else TerraformResourceLifecycle(prevent_destroy=True),
        )
        KmsAlias(self, "alias", name=key_alias(environment), target_key_id=key.key_id, provider=provider)
        self.arn: str = key.arn


def key_alias(environment: Environment) -> str:
    """The same in every region, so that a definition names it once."""
    return f"alias/bakery-{environment.name}"


def key_policy(environment: Environment, region: str) -> str:
    """Users are this account by its own policies, Auto Scaling and consumers to start images, and EventBridge."""
    root = account_root(aws_partition(region), environment.account)
    owner = statement("OwnAccount", ["kms:*"], ["*"], principals={"AWS": root})
    topic = [_topic_statement()] if region == environment.home_region else []
    return policy_document(owner, *topic, *_auto_scaling_statements(environment), *_consumer_statements(environment))


def _topic_statement() -> Statement:
    """KMS gets no aws:SourceArn from EventBridge (SNS guide, "key management"); the topic's policy names the rules."""
    actions = ["kms:Decrypt", "kms:GenerateDataKey*"]
    return statement("EventBridgeToTopic", actions, ["*"], principals={"Service": "events.amazonaws.com"})


def _auto_scaling_statements(environment: Environment) -> list[Statement]:
    """Only a key policy lets Auto Scaling use a key (Auto Scaling guide, "Required AWS KMS key policy").

    A condition names the role: a principal has to exist, and AWS creates this role with an account's first group.
    """
    role = (
        f"arn:{aws_partition(environment.home_region)}:iam::{environment.account}:role{AUTO_SCALING_PATH}{AUTO_SCALING}"
    )
    condition: Conditions = {"ArnEquals": {"aws:PrincipalArn": role}}
    everyone = {"AWS": "*"}
    return [
        statement("OwnGroupsUse", START_MACHINES, ["*"], principals=everyone, conditions=condition),
        statement(
            "OwnGroupsStart", ["kms:CreateGrant"], ["*"], principals=everyone, conditions={**condition, **FOR_SERVICES}
        ),
    ]


def _consumer_statements(environment: Environment) -> list[Statement]:
    """Starting a machine needs a grant: EC2 creates it for a person, and the consumer's stack for Auto Scaling."""
    if not environment.consumer_accounts:
        return []
    home = aws_partition(environment.home_region)
    accounts = [consumer.account for consumer in environment.consumer_accounts]
    consumers = {"AWS": [account_root(home, account) for account in accounts]}
    to_auto_scaling: Conditions = {
        "StringEquals": {
            "kms:GranteePrincipal": [
                f"arn:{home}:iam::{account}:role{AUTO_SCALING_PATH}{AUTO_SCALING}" for account in accounts
            ]
        },
        "ForAllValues:StringEquals": {"kms:GrantOperations": GRANTED},
    }
    return [
        statement("ConsumersUse", START_MACHINES, ["*"], principals=consumers),
        statement("ConsumersStart", ["kms:CreateGrant"], ["*"], principals=consumers, conditions=FOR_SERVICES),
        statement("ConsumersGrant", ["kms:CreateGrant"], ["*"], principals=consumers, conditions=to_auto_scaling),
        # Terraform lists all grants of the key to find its own.
        statement("ConsumersSeeGrants", ["kms:ListGrants"], ["*"], principals=consumers),
    ]
