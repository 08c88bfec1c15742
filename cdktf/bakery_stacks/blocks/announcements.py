"""Tells of new and withdrawn images: EventBridge rules -> an encrypted SNS topic for people and pipelines."""

import json

from bakery_stacks.bindings import Construct, aws
from bakery_stacks.blocks.policy import document, statement

# Both are best effort at AWS: they wake a consumer, the parameters are the truth.
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
    """A topic of the home region, where every image begins and every channel is written."""

    def __init__(self, scope: Construct, name: str, *, topic: str, key_arn: str, environment: str) -> None:
        super().__init__(scope, name)
        made = aws.SnsTopic(self, "topic", name=topic, kms_master_key_id=key_arn)
        self.topic_arn: str = made.arn
        rules = [self._rule(f"bakery-{environment}-{kind}", kind, made.arn) for kind in PATTERNS]
        aws.SnsTopicPolicy(self, "policy", arn=made.arn, policy=_from_rules(made.arn, rules))

    def _rule(self, name: str, kind: str, topic_arn: str) -> str:
        rule = aws.CloudwatchEventRule(self, kind, name=name, event_pattern=json.dumps(PATTERNS[kind]))
        aws.CloudwatchEventTarget(self, f"{kind}-target", rule=rule.name, target_id="topic", arn=topic_arn)
        return str(rule.arn)


def _from_rules(topic_arn: str, rules: list[str]) -> str:
    """Only these rules may publish."""
    publish = statement(
        "OurRules",
        ["sns:Publish"],
        [topic_arn],
        principals={"Service": "events.amazonaws.com"},
        conditions={"ArnEquals": {"aws:SourceArn": rules}},
    )
    return document(publish)
