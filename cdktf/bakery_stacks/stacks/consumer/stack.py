"""The stack of one consumer account: roles in that account, and grants on the owner's keys."""

from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.policy import account_root
from bakery_stacks.config import Settings, aws_partition
from bakery_stacks.outputs import DistributionOutputs
from bakery_stacks.stacks.consumer.rights import AutoScalingGrants, ConsumerRoles
from bakery_stacks.stacks.consumer.settings import Consumer


class ConsumerStack(AwsStack):
    """Deployed once per account of `consumer_accounts`, after the distribution stack."""

    def __init__(
        self, scope: Construct, settings: Settings, consumer: Consumer, distribution: DistributionOutputs
    ) -> None:
        super().__init__(scope, f"consumer-{consumer.account}", settings, consumer)
        environment = self.environment
        roles = ConsumerRoles(self, "roles", environment=environment, account=self.account)
        grants = AutoScalingGrants(
            self,
            "auto-scaling",
            environment=environment.name,
            root=account_root(aws_partition(environment.home_region), self.account),
            keys={region: (arn, self.provider(region)) for region, arn in distribution.key_arns.items()},
        )
        self.output("publisher_role_arn", roles.publisher_arn, "assumed by the owner's publisher to write parameters")
        self.output(
            "tagger_role_arn",
            roles.tagger_arn,
            "assumed by the owner's publisher to tag shared images, and in the account to tag copies",
        )
        self.output("reader_role_arn", roles.reader_arn, "assumed to list images")
        self.output(
            "topic_arn", distribution.topic_arn, "topic of new and withdrawn images; for queues and functions here"
        )
        self.output("grant_ids", grants.ids, "region -> grant by which Auto Scaling uses the key of the images there")
