"""Announces new and withdrawn images: EventBridge rules -> an encrypted SNS topic for people and pipelines."""

import json

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_policy import SnsTopicPolicy
from constructs import Construct

from bakery_stacks.blocks.policy import Conditions, Statement, account_root, policy_document, statement
from bakery_stacks.config import Environment, aws_partition

# AWS delivers both events with best effort only: they wake a consumer, which then reads the parameters.
PATTERNS = {
    "image-available": {
        "source": ["aws.ec2"],
        "detail-type": ["EC2 AMI State Change"],
        "detail": {"State": ["available"]},
    },
    "image-withdrawn": {
        "source": ["aws.ec2"],
        "detail-type": ["EC2 AMI State Change"],
        "detail": {"State": ["deregistered", "disabled"]},
    },
    "parameter-changed": {
        "source": ["aws.ssm"],
        "detail-type": ["Parameter Store Change"],
        "detail": {"name": [{"prefix": "/bakery/"}], "operation": ["Create", "Update"]},
    },
    "parameter-removed": {
        "source": ["aws.ssm"],
        "detail-type": ["Parameter Store Change"],
        "detail": {"name": [{"prefix": "/bakery/"}], "operation": ["Delete"]},
    },
}


class Announcements(Construct):
    """A topic in the home region, where images are created and channels are written."""

    def __init__(self, scope: Construct, name: str, *, environment: Environment, key_arn: str) -> None:
        super().__init__(scope, name)
        topic = SnsTopic(self, "topic", name=environment.topic, kms_master_key_id=key_arn)
        self.topic_arn: str = topic.arn
        rules = [self._make_rule(f"bakery-{environment.name}-{kind}", kind, topic.arn) for kind in PATTERNS]
        policy = policy_document(_from_rules(topic.arn, rules), *_to_consumers(topic.arn, environment))
        SnsTopicPolicy(self, "policy", arn=topic.arn, policy=policy)

    def _make_rule(self, name: str, kind: str, topic_arn: str) -> str:
        rule = CloudwatchEventRule(self, kind, name=name, event_pattern=json.dumps(PATTERNS[kind]))
        CloudwatchEventTarget(self, f"{kind}-target", rule=rule.name, target_id="topic", arn=topic_arn)
        return rule.arn


def _from_rules(topic_arn: str, rules: list[str]) -> Statement:
    """Allow these rules to publish, and no others."""
    return statement(
        "OurRules",
        ["sns:Publish"],
        [topic_arn],
        principals={"Service": "events.amazonaws.com"},
        conditions={"ArnEquals": {"aws:SourceArn": rules}},
    )


def _to_consumers(topic_arn: str, environment: Environment) -> list[Statement]:
    """Allow consumers to subscribe queues and functions of their own. They need no right on the key: SNS decrypts."""
    if not environment.consumer_accounts:
        return []
    home = aws_partition(environment.home_region)
    accounts = [consumer.account for consumer in environment.consumer_accounts]
    endpoints = [f"arn:{home}:{service}:*:{account}:*" for account in accounts for service in ("sqs", "lambda")]
    conditions: Conditions = {
        "StringEquals": {"sns:Protocol": ["sqs", "lambda"]},
        "StringLike": {"sns:Endpoint": endpoints},
    }
    roots = {"AWS": [account_root(home, account) for account in accounts]}
    return [statement("Consumers", ["sns:Subscribe"], [topic_arn], principals=roots, conditions=conditions)]
