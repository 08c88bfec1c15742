"""The form of what is published to a topic."""

import json

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import StandIn


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"Subject": "a" * 100}, "Subject"),
        ({"Subject": "two\nlines"}, "Subject"),
        ({"Subject": "schön"}, "Subject"),
        ({"Subject": " blank first"}, "Subject"),
        ({"Message": "a" * 262_145}, "Message too long"),
        ({"Message": "ä" * 131_073}, "Message too long"),
        ({"Message": json.dumps({"email": "x"}), "MessageStructure": "json"}, "No default entry"),
        ({"Message": "text", "MessageStructure": "json"}, "No default entry"),
    ],
)
def test_a_message_that_is_refused(cloud: StandIn, request_: dict[str, str], message: str) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="images")["TopicArn"]
    with pytest.raises(ClientError, match=f"InvalidParameter.*{message}"):
        sns.publish(**{"TopicArn": topic, "Message": "text", **request_})


def test_a_message_that_is_accepted(cloud: StandIn) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="images")["TopicArn"]
    sns.publish(TopicArn=topic, Subject="a" * 99, Message="a" * 262_144)
    sns.publish(TopicArn=topic, Message=json.dumps({"default": "x", "email": "y"}), MessageStructure="json")
