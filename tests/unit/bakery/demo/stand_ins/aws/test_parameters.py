"""Typed SSM parameters: what PutParameter answers, and what is really stored."""

import contextlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import StandIn, available, register

CONSUMER = "222222222222"
NAME = "/bakery/web/x86_64/channels/stable"


def put(cloud: StandIn, value: str, account: str = "123456789012", region: str = "eu-central-1", **request: Any) -> int:
    parameter = {"Name": NAME, "Value": value, "Type": "String", "DataType": "aws:ec2:image"} | request
    return int(cloud.client("ssm", region, account).put_parameter(**parameter)["Version"])


def reads(cloud: StandIn, count: int, account: str = "123456789012", region: str = "eu-central-1") -> list[str]:
    """The values that `count` reads in a row give; empty where there is none."""
    ssm = cloud.client("ssm", region, account)
    answers = [ssm.get_parameters(Names=[NAME])["Parameters"] for _ in range(count)]
    return [parameters[0]["Value"] if parameters else "" for parameters in answers]


@pytest.fixture
def image(cloud: StandIn) -> str:
    image_id = register(cloud, "web-1.0.0-x86_64")
    available(cloud, image_id)
    return image_id


def test_a_value_is_live_only_some_reads_after_the_answer(cloud: StandIn, image: str) -> None:
    assert put(cloud, image) == 1
    assert reads(cloud, 3) == ["", image, image]
    other = register(cloud, "web-1.0.1-x86_64")
    available(cloud, other)
    cloud.settings(parameter_reads=2)
    assert put(cloud, other, Overwrite=True) == 2
    assert reads(cloud, 4) == [image, image, other, other]


@pytest.mark.parametrize(
    ("read", "request_"),
    [
        ("get_parameter", {"Name": NAME}),
        ("get_parameters", {"Names": [NAME]}),
        ("get_parameters_by_path", {"Path": "/bakery", "Recursive": True}),
        ("get_parameter_history", {"Name": NAME}),
    ],
)
def test_every_kind_of_read_counts(cloud: StandIn, image: str, read: str, request_: dict[str, Any]) -> None:
    ssm = cloud.client("ssm")
    put(cloud, image)
    with contextlib.suppress(ssm.exceptions.ParameterNotFound):
        getattr(ssm, read)(**request_)
    answer = getattr(ssm, read)(**request_)
    [parameter] = [answer["Parameter"]] if "Parameter" in answer else answer["Parameters"]
    assert (parameter["Value"], parameter["DataType"]) == (image, "aws:ec2:image")


@pytest.mark.parametrize("value", ["ami-0123456789abcdef0", "not an image"])
def test_an_image_that_does_not_exist_is_dropped_without_a_word(cloud: StandIn, value: str) -> None:
    assert put(cloud, value) == 1
    assert reads(cloud, 3) == ["", "", ""]


def test_a_dropped_overwrite_leaves_the_old_value(cloud: StandIn, image: str) -> None:
    put(cloud, image)
    reads(cloud, 2)
    assert put(cloud, "ami-0123456789abcdef0", Overwrite=True) == 2
    assert reads(cloud, 3) == [image, image, image]


def test_a_pending_image_is_dropped(cloud: StandIn) -> None:
    put(cloud, register(cloud, "web-1.0.0-x86_64"))
    assert reads(cloud, 3) == ["", "", ""]


def test_the_image_must_be_visible_to_that_account_and_region(cloud: StandIn, image: str) -> None:
    put(cloud, image, region="eu-west-1")
    assert reads(cloud, 3, region="eu-west-1") == ["", "", ""]
    put(cloud, image, CONSUMER)
    assert reads(cloud, 3, CONSUMER) == ["", "", ""]
    permission = {"Add": [{"UserId": CONSUMER}]}
    cloud.client("ec2").modify_image_attribute(ImageId=image, LaunchPermission=permission)
    put(cloud, image, CONSUMER)
    assert reads(cloud, 2, CONSUMER) == ["", image]


def test_other_parameters_are_live_at_once(cloud: StandIn) -> None:
    put(cloud, "1.0.0", DataType="text")
    assert reads(cloud, 1) == ["1.0.0"]


@pytest.mark.parametrize(("before", "after"), [("text", "aws:ec2:image"), ("aws:ec2:image", "text")])
def test_a_data_type_never_changes(cloud: StandIn, image: str, before: str, after: str) -> None:
    put(cloud, image, DataType=before)
    reads(cloud, 2)
    with pytest.raises(ClientError, match=r"\(ValidationException\).* cannot be changed"):
        put(cloud, image, DataType=after, Overwrite=True)


def test_an_image_parameter_is_a_string(cloud: StandIn, image: str) -> None:
    with pytest.raises(ClientError, match=r"\(ValidationException\)"):
        put(cloud, image, Type="SecureString")


def test_an_existing_parameter_is_overwritten_only_on_request(cloud: StandIn, image: str) -> None:
    put(cloud, image)
    with pytest.raises(ClientError, match=r"\(ParameterAlreadyExists\)"):
        put(cloud, image)


def test_ten_names_are_read_at_once_and_no_more(cloud: StandIn) -> None:
    names = [f"/bakery/{number}" for number in range(11)]
    ssm = cloud.client("ssm")
    assert len(ssm.get_parameters(Names=names[:10])["InvalidParameters"]) == 10
    with pytest.raises(ClientError, match=r"\(ValidationException\)"):
        ssm.get_parameters(Names=names)


def test_the_hundredth_version_replaces_the_oldest_unless_it_is_labelled(cloud: StandIn) -> None:
    ssm = cloud.client("ssm")
    put(cloud, "0", DataType="text")
    for number in range(1, 101):
        put(cloud, str(number), DataType="text", Overwrite=True)
    ssm.label_parameter_version(Name=NAME, ParameterVersion=2, Labels=["stable"])
    with pytest.raises(ClientError, match=r"\(ParameterMaxVersionLimitExceeded\)"):
        put(cloud, "101", DataType="text", Overwrite=True)
