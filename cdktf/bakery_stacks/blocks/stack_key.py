"""A rotating key for what one stack keeps."""

from collections.abc import Sequence

from bakery_stacks.bindings import Construct, aws, core
from bakery_stacks.blocks.key import WAITING_DAYS, WAITING_DAYS_DISPOSABLE
from bakery_stacks.blocks.policy import Statement, account_root, document, statement
from bakery_stacks.config import Environment, partition


class StackKey(Construct):
    """The account's own policies say who may use it; `others` are services that ask as themselves."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        environment: Environment,
        title: str,
        description: str,
        others: Sequence[Statement] = (),
    ) -> None:
        super().__init__(scope, name)
        root = account_root(partition(environment.home_region), environment.account)
        key = aws.KmsKey(
            self,
            "key",
            description=description,
            enable_key_rotation=True,
            deletion_window_in_days=WAITING_DAYS_DISPOSABLE if environment.disposable else WAITING_DAYS,
            policy=document(statement("OwnAccount", ["kms:*"], ["*"], principals={"AWS": root}), *others),
            lifecycle=None if environment.disposable else core.TerraformResourceLifecycle(prevent_destroy=True),
        )
        self.alias = f"alias/{title}"
        aws.KmsAlias(self, "alias", name=self.alias, target_key_id=key.key_id)
        self.arn: str = key.arn
