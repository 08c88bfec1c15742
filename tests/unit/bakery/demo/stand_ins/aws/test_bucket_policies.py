"""What a bucket's policy and lock refuse, as S3 does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import StandIn

BUCKET, KEY = "catalog", "images/web/000000.json"
OBJECTS = f"arn:aws:s3:::{BUCKET}/*"
DELETE = ["s3:DeleteObject", "s3:DeleteObjectVersion"]


def deny(actions: list[str], condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": actions, "Resource": [OBJECTS]}
    return statement | ({"Condition": condition} if condition else {})


@pytest.fixture
def s3(cloud: StandIn) -> Any:
    """A bucket with versions and one object."""
    client = cloud.client("s3")
    region = {"LocationConstraint": client.meta.region_name}
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=region)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=BUCKET, Key=KEY, Body=b"first")
    return client


def set_policy(s3: Any, *statements: dict[str, Any]) -> None:
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


def lock(s3: Any) -> None:
    retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": retention}
    s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=configuration)


def test_only_conditional_writes_pass_a_policy_that_demands_them(s3: Any) -> None:
    set_policy(s3, deny(["s3:PutObject"], {"Null": {"s3:if-none-match": "true"}}))
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"other"),
        lambda: s3.put_object(Bucket=BUCKET, Key="new", Body=b"other"),
        lambda: s3.copy_object(Bucket=BUCKET, Key=KEY, CopySource=f"{BUCKET}/{KEY}", MetadataDirective="REPLACE"),
        lambda: s3.create_multipart_upload(Bucket=BUCKET, Key=KEY),
    )
    for attempt in attempts:
        with pytest.raises(ClientError, match="403"):
            attempt()
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"other", IfNoneMatch="*")
    s3.put_object(Bucket=BUCKET, Key="new", Body=b"other", IfNoneMatch="*")
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == b"first"


def test_a_policy_refuses_deletes(s3: Any) -> None:
    set_policy(s3, deny(DELETE))
    [version] = s3.list_object_versions(Bucket=BUCKET)["Versions"]
    with pytest.raises(ClientError, match="403"):
        s3.delete_object(Bucket=BUCKET, Key=KEY)
    with pytest.raises(ClientError, match="403"):
        s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version["VersionId"])
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": KEY}]})
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_object(Bucket=BUCKET, Key=KEY)


def test_versions_are_an_action_of_their_own(s3: Any) -> None:
    set_policy(s3, deny(["s3:DeleteObjectVersion"]))
    [version] = s3.list_object_versions(Bucket=BUCKET)["Versions"]
    with pytest.raises(ClientError, match="403"):
        s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version["VersionId"])
    s3.delete_object(Bucket=BUCKET, Key=KEY)


@pytest.mark.parametrize(
    "condition", [{"StringEquals": {"s3:if-none-match": "*"}}, {"Null": {"aws:PrincipalArn": "true"}}]
)
def test_a_condition_that_is_not_known_is_no_condition_that_holds(s3: Any, condition: dict[str, Any]) -> None:
    set_policy(s3, deny(["s3:PutObject"], condition))
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"other")


def test_a_bucket_with_objects_is_locked_from_then_on(s3: Any) -> None:
    lock(s3)
    s3.put_object(Bucket=BUCKET, Key="locked", Body=b"second")
    versions = {one["Key"]: one["VersionId"] for one in s3.list_object_versions(Bucket=BUCKET)["Versions"]}
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=BUCKET, Key="locked", VersionId=versions["locked"])
    s3.delete_object(Bucket=BUCKET, Key="locked", VersionId=versions["locked"], BypassGovernanceRetention=True)
    s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=versions[KEY])


def test_a_bucket_without_versions_cannot_be_locked(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(ClientError, match="InvalidBucketState"):
        lock(s3)
