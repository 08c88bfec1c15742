"""Messages to a topic, against the stand-in, which passes them on to a subscriber."""

from collections.abc import Iterator

import pytest

from bakery.clouds.aws.topics import SnsTopic
from bakery.host.errors import BakeryError
from doubles.aws.client import StandIn, point_environment
from doubles.chat import Chat, chat


@pytest.fixture
def cloud(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    aws_server.reset()
    point_environment(aws_server, monkeypatch)
    return aws_server


@pytest.fixture
def subscriber() -> Iterator[Chat]:
    with chat() as tool:
        yield tool


def test_a_message_arrives_with_a_subject_that_sns_accepts(cloud: StandIn, subscriber: Chat) -> None:
    sns = cloud.client("sns")
    arn = sns.create_topic(Name="images")["TopicArn"]
    only = {"FilterPolicy": '{"kind": ["patched"]}'}
    sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=subscriber.address, Attributes=only)
    topic = SnsTopic(arn)
    topic.require()
    topic.publish("another", "", b"{}", {"kind": "failed"})
    topic.publish("web: größer\n" + "x" * 200, "for people", b'{"text": "for people"}', {"kind": "patched"})
    [message] = subscriber.messages
    assert message["Subject"] == ("web: gr??er " + "x" * 200)[:99]
    assert message["Message"] == '{"text": "for people"}'


def test_a_topic_that_does_not_exist(cloud: StandIn) -> None:
    arn = "arn:aws:sns:eu-central-1:123456789012:nothing"
    for call in (SnsTopic(arn).require, lambda: SnsTopic(arn).publish("a", "b", b"{}", {})):
        with pytest.raises(BakeryError) as caught:
            call()
        assert caught.value.where == arn
        assert "not exist" in caught.value.detail


def test_a_missing_right_names_the_topic_and_the_role(cloud: StandIn) -> None:
    arn = cloud.client("sns").create_topic(Name="images")["TopicArn"]
    cloud.fault("sns", "Publish", error="AuthorizationError", status=403)
    with pytest.raises(BakeryError, match="cannot publish to the topic") as caught:
        SnsTopic(arn).publish("a", "b", b"{}", {})
    assert "lacks a permission" in caught.value.hint


def test_a_passing_fault_is_tried_once_more(cloud: StandIn) -> None:
    arn = cloud.client("sns").create_topic(Name="images")["TopicArn"]
    cloud.fault("sns", "Publish", error="InternalFailure", status=500)
    SnsTopic(arn).publish("a", "b", b"{}", {})
    cloud.fault("sns", "Publish", error="InternalFailure", status=500, times=2)
    with pytest.raises(BakeryError):
        SnsTopic(arn).publish("a", "b", b"{}", {})
    assert cloud.actions().count("Publish") == 4
