"""Alarms on CloudWatch metrics, and an encrypted topic that tells a person of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bakery_stacks.bindings import Construct, aws
from bakery_stacks.blocks.policy import Statement, document, statement

CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}
MINUTE, HOUR = 60, 3600  # seconds


@dataclass(frozen=True)
class Metric:
    """Where a metric is found, but for its name."""

    namespace: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class Watch:
    """Bad: anything above zero in each of some minutes. `silent` says what no value at all means."""

    name: str
    why: str
    of: Metric
    metric: str
    minutes: int = 5
    silent: Literal["breaching", "missing"] = "missing"

    def settings(self) -> dict[str, Any]:
        """Arguments of the alarm."""
        above = {"statistic": "Maximum", "comparison_operator": "GreaterThanThreshold", "threshold": 0}
        return {**above, "period": MINUTE, "evaluation_periods": self.minutes, "treat_missing_data": self.silent}


@dataclass(frozen=True)
class Missed:
    """Bad: what should have been counted was not, in some hours."""

    name: str
    why: str
    of: Metric
    metric: str
    hours: int

    def settings(self) -> dict[str, Any]:
        """Arguments of the alarm."""
        below = {"statistic": "Sum", "comparison_operator": "LessThanThreshold", "threshold": 1}
        return {**below, "period": HOUR, "evaluation_periods": self.hours, "treat_missing_data": "breaching"}


class Alarms(Construct):
    """One alarm for each watch; the topic tells of its beginning and its end. `names` by those of the watches."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        title: str,
        account: str,
        watches: Sequence[Watch | Missed],
        key_arn: str,
    ) -> None:
        super().__init__(scope, name)
        topic = aws.SnsTopic(self, "topic", name=f"{title}-alarms", kms_master_key_id=key_arn)
        own = {"StringEquals": {"aws:SourceAccount": account}}  # CloudWatch asks for every account's alarms
        publish = statement("Alarms", ["sns:Publish"], [topic.arn], principals=CLOUDWATCH, conditions=own)
        aws.SnsTopicPolicy(self, "policy", arn=topic.arn, policy=document(publish))
        self.topic_arn: str = topic.arn
        self.names = {watch.name: self._alarm(title, watch) for watch in watches}

    def _alarm(self, title: str, watch: Watch | Missed) -> str:
        alarm = aws.CloudwatchMetricAlarm(
            self,
            watch.name,
            alarm_name=f"{title}-{watch.name}",
            alarm_description=watch.why,
            namespace=watch.of.namespace,
            metric_name=watch.metric,
            dimensions=dict(watch.of.dimensions),
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
            **watch.settings(),
        )
        return str(alarm.alarm_name)


def alarm_encryption() -> Statement:
    """What CloudWatch needs of the topic's key."""
    return statement("AlarmsToTopic", ["kms:Decrypt", "kms:GenerateDataKey*"], ["*"], principals=CLOUDWATCH)
