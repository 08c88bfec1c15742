"""Faults, the record of calls, and accounts."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from doubles.aws.client import BLOCK_SIZE, HOME_REGION, StandIn, available, put_block, register, running

CONSUMER = "222222222222"
WEST = "eu-west-1"


@pytest.mark.parametrize(
    ("service", "action", "call"),
    [
        ("ec2", "DescribeImages", lambda cloud: cloud.client("ec2").describe_images()),
        ("ebs", "StartSnapshot", lambda cloud: cloud.client("ebs").start_snapshot(VolumeSize=1)),
        ("ssm", "GetParameter", lambda cloud: cloud.client("ssm").get_parameter(Name="x")),
        ("s3", "ListBuckets", lambda cloud: cloud.client("s3").list_buckets()),
        ("sts", "GetCallerIdentity", lambda cloud: cloud.client("sts").get_caller_identity()),
    ],
)
def test_an_error_comes_in_the_protocol_of_its_service(cloud: StandIn, service: str, action: str, call: Any) -> None:
    cloud.fault(service, action, error="RequestLimitExceeded", status=503)
    with pytest.raises(ClientError, match=r"\(RequestLimitExceeded\)") as refusal:
        call(cloud)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_a_rule_strikes_as_often_as_it_says_where_it_says(cloud: StandIn) -> None:
    cloud.fault("ec2", "DescribeImages", region=WEST, times=2)
    cloud.client("ec2").describe_images(Owners=["self"])
    west = cloud.client("ec2", WEST)
    for _ in range(2):
        with pytest.raises(ClientError):
            west.describe_images(Owners=["self"])
    west.describe_images(Owners=["self"])


def test_rules_can_be_taken_back(cloud: StandIn) -> None:
    cloud.fault("ec2", "DescribeImages", times=100)
    cloud.control("DELETE", "faults")
    cloud.client("ec2").describe_images(Owners=["self"])


def test_a_reset_connection_does_nothing(cloud: StandIn) -> None:
    s3 = cloud.client("s3")
    cloud.fault("s3", "CreateBucket", kind="reset")
    with pytest.raises(ConnectionClosedError):
        s3.create_bucket(Bucket="catalog", CreateBucketConfiguration={"LocationConstraint": HOME_REGION})
    assert s3.list_buckets()["Buckets"] == []


def test_a_lost_response_has_acted_and_a_client_token_makes_the_retry_safe(cloud: StandIn) -> None:
    source = register(cloud, "web-1.0.0-x86_64")
    available(cloud, source)
    west = cloud.client("ec2", WEST)
    request = {"Name": "copy", "SourceImageId": source, "SourceRegion": HOME_REGION, "ClientToken": "once"}
    cloud.fault("ec2", "CopyImage", kind="after")
    with pytest.raises(ConnectionClosedError):
        west.copy_image(**request)
    [image] = west.describe_images(Owners=["self"])["Images"]
    assert west.copy_image(**request)["ImageId"] == image["ImageId"]


def test_the_log_names_a_lost_answer_and_the_call_that_comes_again(capfd: pytest.CaptureFixture[str]) -> None:
    """An SDK hides both, and shows the error of the second call."""
    twice = Config(retries={"total_max_attempts": 2, "mode": "standard"})
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    with running() as cloud:
        cloud.fault("kms", "CreateAlias", kind="after")
        kms = boto3.Session().client("kms", HOME_REGION, endpoint_url=cloud.url, config=twice, **keys)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        with pytest.raises(ClientError, match="AlreadyExistsException"):
            kms.create_alias(AliasName="alias/web", TargetKeyId=key)
    lost, again = capfd.readouterr().err.splitlines()
    assert f"kms:CreateAlias in {HOME_REGION} has no answer: ConnectionResetError" in lost
    assert again == f"kms:CreateAlias in {HOME_REGION} is sent again: attempt=2"


def test_a_slow_answer_outlasts_an_impatient_client(cloud: StandIn) -> None:
    impatient = Config(read_timeout=0.05, retries={"total_max_attempts": 1})
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    sts = boto3.Session().client("sts", HOME_REGION, endpoint_url=cloud.url, config=impatient, **keys)
    cloud.fault("sts", "GetCallerIdentity", kind="slow", seconds=0.1)
    with pytest.raises(ReadTimeoutError):
        sts.get_caller_identity()


@pytest.mark.parametrize("rule", [{"kind": "flood"}, {"color": "red"}])
def test_a_rule_that_makes_no_sense_is_refused(cloud: StandIn, rule: dict[str, str]) -> None:
    with pytest.raises(HTTPError, match="400"):
        cloud.fault("ec2", "CopyImage", **rule)


def test_calls_are_recorded_with_service_action_region_account_and_key(cloud: StandIn) -> None:
    cloud.client("ssm", WEST, CONSUMER).get_parameters(Names=["x"])
    cloud.client("s3").list_buckets()
    snapshot_id = cloud.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"]
    put_block(cloud.client("ebs"), snapshot_id, 0, bytes(BLOCK_SIZE))
    calls = cloud.control("GET", "calls")
    keys = [call.pop("key") for call in calls]
    assert {key for key in keys if not key.startswith("ASIA")} == {"test"}, "STS makes the others"
    assert [tuple(call.values()) for call in calls] == [
        ("sts", "AssumeRole", HOME_REGION, "123456789012"),
        ("ssm", "GetParameters", WEST, CONSUMER),
        ("s3", "ListBuckets", HOME_REGION, "123456789012"),
        ("ebs", "StartSnapshot", HOME_REGION, "123456789012"),
        ("ebs", "PutSnapshotBlock", HOME_REGION, "123456789012"),
    ]


def test_an_assumed_role_acts_in_its_own_account(cloud: StandIn) -> None:
    assert cloud.client("sts", account=CONSUMER).get_caller_identity()["Account"] == CONSUMER


def test_a_region_that_does_not_exist_is_refused(cloud: StandIn) -> None:
    with pytest.raises(ClientError, match=r"\(AuthFailure\).* no region mars-north-1"):
        cloud.client("ec2", "mars-north-1").describe_images()


def test_what_moto_cannot_do_is_said_so(cloud: StandIn) -> None:
    image_id = register(cloud, "web-1.0.0-x86_64")
    with pytest.raises(ClientError, match=r"\(NotImplemented\).* CreateStoreImageTask"):
        cloud.client("ec2").create_store_image_task(ImageId=image_id, Bucket="catalog")


def test_one_of_many_conditional_writes_wins(cloud: StandIn) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="catalog", CreateBucketConfiguration={"LocationConstraint": HOME_REGION})

    def create(writer: int) -> bool:
        try:
            s3.put_object(Bucket="catalog", Key="web/1.0.0.json", Body=str(writer).encode(), IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 1


def test_save_without_a_state_file_is_refused(cloud: StandIn) -> None:
    with pytest.raises(HTTPError, match="400"):
        cloud.control("POST", "save")
