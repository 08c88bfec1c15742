"""Token buckets, the end of sessions, and calls that do not see new resources yet.

Sources: the EC2 developer guide, "Request throttling for the Amazon EC2 API" and "Eventual consistency in the Amazon
EC2 API"; the EC2 API reference, "Error codes" (RequestExpired); the STS API reference, AssumeRole; awslabs/coldsnap
issue 43.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import HOME_REGION, ONCE, SESSION, StandIn, available, put_block, register, upload

CONSUMER = "222222222222"
WEST = "eu-west-1"
NAME = "web-1.0.0-x86_64"
BLOCK = bytes(524_288)


def bucket(cloud: StandIn, service: str, action: str, tokens: int, per_second: float = 0) -> None:
    cloud.fault(service, action, kind="bucket", tokens=tokens, per_second=per_second)


def test_a_bucket_is_for_one_action_of_one_account_and_region(cloud: StandIn) -> None:
    bucket(cloud, "ec2", "Describe*", 2)
    ec2 = cloud.client("ec2")
    for _ in range(2):
        ec2.describe_images(Owners=["self"])
    with pytest.raises(ClientError, match=r"\(RequestLimitExceeded\)") as caught:
        ec2.describe_images(Owners=["self"])
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    ec2.describe_snapshots(OwnerIds=["self"])
    cloud.client("ec2", WEST).describe_images(Owners=["self"])
    cloud.client("ec2", account=CONSUMER).describe_images(Owners=["self"])
    cloud.control("DELETE", "faults")
    ec2.describe_images(Owners=["self"])


def test_tokens_come_back_up_to_the_size_of_the_bucket(cloud: StandIn) -> None:
    ec2 = cloud.client("ec2")

    def calls() -> int:
        for number in range(10):
            try:
                ec2.describe_images(Owners=["self"])
            except ClientError:
                return number
        return 10

    bucket(cloud, "ec2", "DescribeImages", 3, per_second=0.001)
    assert calls() == 3
    cloud.settings(clock_ahead=2_100)
    assert calls() == 2
    cloud.settings(clock_ahead=1_000_000)
    assert calls() == 3


@pytest.mark.parametrize(
    ("service", "action", "call", "code"),
    [
        ("ssm", "GetParameter", lambda cloud: cloud.client("ssm").get_parameter(Name="x"), "ThrottlingException"),
        ("ebs", "StartSnapshot", lambda cloud: cloud.client("ebs").start_snapshot(VolumeSize=1), "RequestThrottled.*"),
        ("s3", "ListBuckets", lambda cloud: cloud.client("s3").list_buckets(), "SlowDown"),
        ("sts", "GetCallerIdentity", lambda cloud: cloud.client("sts").get_caller_identity(), "Throttling"),
    ],
)
def test_each_service_has_its_own_error_of_throttling(
    cloud: StandIn, service: str, action: str, call: Any, code: str
) -> None:
    bucket(cloud, service, action, 0)
    with pytest.raises(ClientError, match=rf"\({code}\)"):
        call(cloud)


def session(cloud: StandIn, service: str, **request: int) -> Any:
    """A client with the credentials of a role that is assumed now."""
    keys = cloud.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{CONSUMER}:role/test", RoleSessionName="test", **request
    )["Credentials"]
    return SESSION.client(  # type: ignore[call-overload]
        service,
        HOME_REGION,
        endpoint_url=cloud.url,
        config=ONCE,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", lambda ec2: ec2.describe_images(Owners=["self"]), "RequestExpired"),
        ("ssm", lambda ssm: ssm.get_parameters(Names=["x"]), "ExpiredTokenException"),
        ("ebs", lambda ebs: ebs.start_snapshot(VolumeSize=1), "ExpiredTokenException"),
        ("s3", lambda s3: s3.list_buckets(), "ExpiredToken"),
        ("sts", lambda sts: sts.get_caller_identity(), "ExpiredToken"),
    ],
)
def test_a_session_ends_in_the_words_of_each_service(cloud: StandIn, service: str, call: Any, code: str) -> None:
    client = session(cloud, service, DurationSeconds=3600)
    cloud.settings(clock_ahead=3590)
    call(client)
    cloud.settings(clock_ahead=3610)
    with pytest.raises(ClientError, match=rf"\({code}\)"):
        call(client)
    call(session(cloud, service))


def test_the_setting_makes_sessions_shorter_and_their_answer_says_so(cloud: StandIn) -> None:
    cloud.settings(session_seconds=100)
    answer = cloud.client("sts").assume_role(RoleArn=f"arn:aws:iam::{CONSUMER}:role/test", RoleSessionName="test")
    assert answer["Credentials"]["Expiration"] - datetime.now(UTC) < timedelta(seconds=101)
    client = session(cloud, "ec2")
    client.describe_images(Owners=["self"])
    cloud.settings(clock_ahead=101)
    with pytest.raises(ClientError, match=r"\(RequestExpired\)"):
        client.describe_images(Owners=["self"])


def sees(cloud: StandIn, image_id: str) -> bool:
    try:
        cloud.client("ec2").describe_images(ImageIds=[image_id])
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidAMIID.NotFound"
        return False
    return True


def test_the_next_calls_do_not_see_a_new_image_but_its_name_is_taken(cloud: StandIn) -> None:
    snapshot = upload(cloud)
    devices = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}]
    cloud.settings(consistency_calls=3)
    image_id = register(cloud, NAME, BlockDeviceMappings=devices)
    with pytest.raises(ClientError, match=r"\(InvalidAMIName.Duplicate\)"):
        register(cloud, NAME, BlockDeviceMappings=devices)
    assert cloud.client("ec2").describe_images(Owners=["self"])["Images"] == []
    cloud.client("ec2", WEST).describe_images(Owners=["self"])  # does not count
    assert [sees(cloud, image_id) for _ in range(3)] == [False, True, True]
    available(cloud, image_id)


def test_a_new_copy_is_unseen_with_its_snapshot(cloud: StandIn) -> None:
    source = register(cloud, NAME)
    available(cloud, source)
    cloud.settings(consistency_calls=2)
    west = cloud.client("ec2", WEST)
    request = {"Name": NAME, "SourceImageId": source, "SourceRegion": HOME_REGION, "ClientToken": "once"}
    copy = west.copy_image(**request)["ImageId"]
    assert west.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert west.copy_image(**request)["ImageId"] == copy, "the token is known at once"
    assert [image["ImageId"] for image in west.describe_images(Owners=["self"])["Images"]] == [copy]
    assert len(west.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


def test_a_new_snapshot_is_unseen_by_ec2_while_its_blocks_are_written(cloud: StandIn) -> None:
    ebs, ec2 = cloud.client("ebs"), cloud.client("ec2")
    cloud.settings(consistency_calls=1)
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    put_block(ebs, snapshot, 0, BLOCK)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1)
    with pytest.raises(ClientError, match=r"\(InvalidSnapshot.NotFound\)"):
        ec2.describe_snapshots(SnapshotIds=[snapshot])
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "pending"


def test_a_new_parameter_is_unseen_for_a_time(cloud: StandIn) -> None:
    ssm = cloud.client("ssm")
    cloud.settings(consistency_seconds=1000)
    ssm.put_parameter(Name="/web", Value="1", Type="String")
    for _ in range(3):
        assert ssm.get_parameters(Names=["/web"])["InvalidParameters"] == ["/web"]
    with pytest.raises(ClientError, match=r"\(ParameterAlreadyExists\)"):
        ssm.put_parameter(Name="/web", Value="2", Type="String")
    cloud.settings(clock_ahead=1001)
    assert ssm.get_parameters(Names=["/web"])["Parameters"][0]["Value"] == "1"
