"""CloudWatch alarms, failures of an Auto Scaling group, and the encrypted SNS topic that reports both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_policy import SnsTopicPolicy
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, policy_document, statement

CLOUDWATCH, EVENTS = "cloudwatch.amazonaws.com", "events.amazonaws.com"
MINUTE, HOUR = 60, 3600  # seconds
# An apply ends when a refresh has begun, so it cannot show these (EventBridge, "Amazon EC2 Auto Scaling events").
FAILURES = [
    "EC2 Instance Launch Unsuccessful",
    "EC2 Auto Scaling Instance Refresh Failed",
    "EC2 Auto Scaling Instance Refresh Cancelled",
]


@dataclass(frozen=True)
class MetricSource:
    """The namespace and dimensions of metrics."""

    namespace: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class ThresholdAlarm:
    """Fires when a metric stays above `threshold` for `minutes`. `treat_missing_data` is CloudWatch's argument."""

    name: str
    description: str
    source: MetricSource
    metric: str
    minutes: int = 5
    treat_missing_data: Literal["breaching", "missing"] = "missing"
    threshold: int = 0

    def alarm_arguments(self) -> dict[str, Any]:
        """Arguments of the resource."""
        above = {"statistic": "Maximum", "comparison_operator": "GreaterThanThreshold", "threshold": self.threshold}
        return {
            **above,
            "period": MINUTE,
            "evaluation_periods": self.minutes,
            "treat_missing_data": self.treat_missing_data,
        }


@dataclass(frozen=True)
class MissingDataAlarm:
    """Fires when nothing was counted for `hours`."""

    name: str
    description: str
    source: MetricSource
    metric: str
    hours: int

    def alarm_arguments(self) -> dict[str, Any]:
        """Arguments of the resource."""
        below = {"statistic": "Sum", "comparison_operator": "LessThanThreshold", "threshold": 1}
        return {**below, "period": HOUR, "evaluation_periods": self.hours, "treat_missing_data": "breaching"}


class Alarms(Construct):
    """Alarms that report their begin and their end to a topic. `names` maps our short names to those at AWS.

    The topic also reports failures of `group`, an Auto Scaling group.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        title: str,
        account: str,
        group: str,
        key_arn: str,
        alarms: Sequence[ThresholdAlarm | MissingDataAlarm] = (),
    ) -> None:
        super().__init__(scope, name)
        topic = SnsTopic(self, "topic", name=f"{title}-alarms", kms_master_key_id=key_arn)
        self.topic_arn: str = topic.arn
        rule_arn = self._report_failures(group, title)
        SnsTopicPolicy(
            self,
            "policy",
            arn=topic.arn,
            policy=policy_document(*_publish_statements(self.topic_arn, account, rule_arn)),
        )
        self.names = {alarm.name: self._make_alarm(title, alarm) for alarm in alarms}

    def _report_failures(self, group: str, title: str) -> str:
        """The ARN of the rule that reports a group's failures."""
        pattern = {
            "source": ["aws.autoscaling"],
            "detail-type": FAILURES,
            "detail": {"AutoScalingGroupName": [group]},
        }
        description = f"Machines of {group} that do not start, and refreshes of it that end early"
        rule = CloudwatchEventRule(
            self, "failures", name=f"{title}-failures", description=description, event_pattern=json.dumps(pattern)
        )
        CloudwatchEventTarget(self, "failures-target", rule=rule.name, target_id="topic", arn=self.topic_arn)
        return rule.arn

    def _make_alarm(self, title: str, alarm: ThresholdAlarm | MissingDataAlarm) -> str:
        resource = CloudwatchMetricAlarm(
            self,
            alarm.name,
            alarm_name=f"{title}-{alarm.name}",
            alarm_description=alarm.description,
            namespace=alarm.source.namespace,
            metric_name=alarm.metric,
            dimensions=dict(alarm.source.dimensions),
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
            **alarm.alarm_arguments(),
        )
        return resource.alarm_name


def _publish_statements(topic_arn: str, account: str, rule_arn: str) -> list[Statement]:
    """CloudWatch and EventBridge serve every account, so each may publish for this account and this rule only."""
    alarms = {"StringEquals": {"aws:SourceAccount": account}}
    rule = {"ArnEquals": {"aws:SourceArn": rule_arn}}
    return [
        statement("Alarms", ["sns:Publish"], [topic_arn], principals={"Service": CLOUDWATCH}, conditions=alarms),
        statement("Failures", ["sns:Publish"], [topic_arn], principals={"Service": EVENTS}, conditions=rule),
    ]


def alarm_encryption() -> Statement:
    """The use of the topic's key by both services; EventBridge sends no source to KMS (SNS guide, "key management")."""
    actions = ["kms:Decrypt", "kms:GenerateDataKey*"]
    return statement("AlarmsToTopic", actions, ["*"], principals={"Service": [CLOUDWATCH, EVENTS]})
