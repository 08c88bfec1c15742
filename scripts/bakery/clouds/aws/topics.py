"""SNS topics that notices are published to."""

import json
import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from bakery.clouds.aws.calls import explain_errors
from bakery.host.aws_variables import check_variables, explain_settings

# A notice must not hold up a bake: one retry, and half a minute at the worst.
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=10)
SUBJECT_LENGTH = 99  # the limit is "less than 100 characters", of ASCII without line breaks (SNS API, Publish)


class SnsTopic:
    """A topic by its ARN, with the credentials of the environment."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._region = arn.split(":")[3]
        check_variables(os.environ)
        with explain_settings(), explain_errors("use the topic", arn):
            session: Any = boto3.Session()
            self._client = session.client("sns", region_name=self._region, config=CONFIG)

    def publish(self, subject: str, text: str, document: bytes, attributes: Mapping[str, str]) -> None:
        """Publish a JSON document; people who subscribed by e-mail get the text. Subscribers filter by attributes."""
        line = " ".join(subject.encode("ascii", "replace").decode().split())
        values = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        with explain_errors("publish to the topic", self._arn):
            self._client.publish(
                TopicArn=self._arn,
                Subject=line[:SUBJECT_LENGTH],
                Message=json.dumps({"default": document.decode(), "email": text}),
                MessageStructure="json",
                MessageAttributes=values,
            )

    def require(self) -> None:
        """BakeryError unless the topic exists and these credentials see it. Sends nothing."""
        with explain_errors("see the topic", self._arn):
            self._client.get_topic_attributes(TopicArn=self._arn)
