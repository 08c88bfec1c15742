"""A rotating key for the data of one stack."""

from collections.abc import Sequence

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, account_root, policy_document, statement
from bakery_stacks.config import Environment, aws_partition

WAITING_DAYS = 30  # AWS's maximum before it deletes a key; images cannot be started without their key
WAITING_DAYS_DISPOSABLE = 7  # AWS's minimum
# The actions of Terraform and administrators on the key itself. No policy of the account can allow more.
ADMINISTER = [
    *("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
    *("kms:PutKeyPolicy", "kms:UpdateKeyDescription", "kms:EnableKeyRotation", "kms:DisableKeyRotation"),
    *("kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias", "kms:TagResource", "kms:UntagResource"),
    *("kms:EnableKey", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"),
]
SEAL = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]  # Vault's calls (Vault, "AWS KMS seal", "Authentication")


class StackKey(Construct):
    """The account's own policies say who may use the key. With `seal_role_arn`, only that role may use it.

    `service_statements` are for services that use the key as themselves.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        environment: Environment,
        title: str,
        description: str,
        service_statements: Sequence[Statement] = (),
        seal_role_arn: str | None = None,
    ) -> None:
        super().__init__(scope, name)
        root = account_root(aws_partition(environment.home_region), environment.account)
        key = KmsKey(
            self,
            "key",
            description=description,
            enable_key_rotation=True,
            deletion_window_in_days=WAITING_DAYS_DISPOSABLE if environment.disposable else WAITING_DAYS,
            policy=policy_document(*_account_statements(root, seal_role_arn), *service_statements),
            lifecycle=None if environment.disposable else TerraformResourceLifecycle(prevent_destroy=True),
        )
        self.alias = f"alias/{title}"
        KmsAlias(self, "alias", name=self.alias, target_key_id=key.key_id)
        self.arn: str = key.arn


def _account_statements(root: str, seal_role_arn: str | None) -> list[Statement]:
    """The role is named by a condition: a principal would have to exist before the key."""
    account = {"AWS": root}
    if seal_role_arn is None:
        return [statement("OwnAccount", ["kms:*"], ["*"], principals=account)]
    by_role = {"ArnEquals": {"aws:PrincipalArn": seal_role_arn}}
    return [
        statement("LookAfter", ADMINISTER, ["*"], principals=account),
        statement("Seal", SEAL, ["*"], principals=account, conditions=by_role),
    ]
