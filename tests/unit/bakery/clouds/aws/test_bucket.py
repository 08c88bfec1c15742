"""A bucket in the stand-in for S3: objects are whole or absent, and errors say what to do."""

import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO

import pytest

from bakery.clouds.aws.bucket import S3Bucket
from bakery.host.errors import BakeryError, NotFoundError, OutageError, UsageError
from doubles.aws.client import HOME_ACCOUNT, HOME_REGION, StandIn
from doubles.serving import at_work

PART = 8 << 20  # bytes; boto3 uploads larger objects in parts
ROLE = f"arn:aws:iam::{HOME_ACCOUNT}:role/bake"


@pytest.fixture
def cloud(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A cloud with a bucket `cache`, and a program that has asked for no login yet."""
    configuration = {"LocationConstraint": HOME_REGION}
    aws.client("s3").create_bucket(Bucket="cache", CreateBucketConfiguration=configuration)
    monkeypatch.setenv("AWS_DEFAULT_REGION", HOME_REGION)
    return aws


def read(bucket: S3Bucket, key: str) -> bytes:
    length, chunks = bucket.open(key)
    content = b"".join(chunks)
    assert len(content) == length
    return content


@pytest.mark.parametrize(
    ("location", "key"), [("s3://cache/team/layers/", "team/layers/a/b"), ("s3://cache", "a/b"), ("s3://cache/", "a/b")]
)
def test_objects_are_below_the_prefix(cloud: StandIn, location: str, key: str) -> None:
    bucket = S3Bucket(location)
    bucket.write("a/b", BytesIO(b"first"))
    bucket.write("a/b", BytesIO(b"second"))
    assert read(bucket, "a/b") == b"second"
    assert [one["Key"] for one in cloud.client("s3").list_objects_v2(Bucket="cache")["Contents"]] == [key]
    assert bucket.location == location.rstrip("/")


def test_a_removed_object_is_not_there(cloud: StandIn) -> None:
    bucket = S3Bucket("s3://cache/layers")
    bucket.write("a", BytesIO(b"first"))
    bucket.remove("a")
    bucket.remove("a")
    with pytest.raises(NotFoundError, match="not in the bucket") as caught:
        bucket.open("a")
    assert caught.value.where == "s3://cache/layers/a"


def test_a_large_object_goes_in_parts(cloud: StandIn) -> None:
    content = b"".join(bytes([number]) * (1 << 20) for number in range(18))
    assert len(content) > 2 * PART
    bucket = S3Bucket("s3://cache")
    bucket.write("disk", BytesIO(content))
    assert read(bucket, "disk") == content
    actions = cloud.actions()
    assert actions.count("UploadPart") == 3
    assert "CompleteMultipartUpload" in actions


def test_a_broken_upload_leaves_no_object(cloud: StandIn) -> None:
    cloud.fault("s3", "UploadPart", error="InternalError", status=500, times=9)
    bucket = S3Bucket("s3://cache")
    with pytest.raises(OutageError, match="cannot be reached"):
        bucket.write("disk", BytesIO(bytes(2 * PART)))
    with pytest.raises(NotFoundError):
        bucket.open("disk")
    assert "Uploads" not in cloud.client("s3").list_multipart_uploads(Bucket="cache")


def test_a_bucket_that_does_not_exist(cloud: StandIn) -> None:
    bucket = S3Bucket("s3://cash/layers")
    calls: tuple[Callable[[], object], ...] = (
        lambda: bucket.open("a"),
        lambda: bucket.write("a", BytesIO(b"")),
        lambda: bucket.remove("a"),
    )
    for call in calls:
        with pytest.raises(BakeryError, match="the bucket does not exist") as caught:
            call()
        assert not isinstance(caught.value, NotFoundError)
        assert caught.value.where == "s3://cash/layers/a"


def test_a_missing_right(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = cloud.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="bake")["Credentials"]
    for variable, name in (
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ):
        monkeypatch.setenv(variable, keys[name])
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::cache/*"]}
    cloud.control("POST", "policies", {ROLE: {"Statement": [allowed]}})
    cloud.client("s3").put_object(Bucket="cache", Key="a", Body=b"first")
    bucket = S3Bucket("s3://cache")
    assert read(bucket, "a") == b"first"
    with pytest.raises(BakeryError, match="no access to the bucket") as caught:
        bucket.write("a", BytesIO(b""))
    assert "s3:PutObject" in caught.value.hint
    with pytest.raises(BakeryError, match="no access to the bucket"):
        bucket.remove("a")


def test_nobody_listens(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(OutageError, match="the bucket cannot be reached") as caught:
        S3Bucket("s3://cache").open("a")
    assert "AWS_ENDPOINT_URL" in caught.value.hint


@pytest.mark.parametrize("kind", ["reset", "error"])
def test_one_fault_passes(cloud: StandIn, kind: str) -> None:
    bucket = S3Bucket("s3://cache")
    bucket.write("a", BytesIO(b"first"))
    cloud.fault("s3", "GetObject", kind=kind, status=503, error="SlowDown")
    assert read(bucket, "a") == b"first"
    cloud.fault("s3", "GetObject", kind=kind, status=503, error="SlowDown", times=2)
    with pytest.raises(OutageError):
        bucket.open("a")


class Broken(BaseHTTPRequestHandler):
    """Answers with the first half of an object."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(2 << 20))
        self.end_headers()
        self.wfile.write(bytes(1 << 20))

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_download_that_breaks_off_is_an_outage(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with at_work(HTTPServer(("127.0.0.1", 0), Broken)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        length, chunks = S3Bucket("s3://cache").open("a")
        assert length == 2 << 20
        with pytest.raises(OutageError, match="cannot be reached"):
            list(chunks)


def test_no_credentials(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BakeryError, match="the bucket cannot be used") as caught:
        S3Bucket("s3://cache").open("a")
    assert "credentials" in caught.value.detail
    assert "AWS_PROFILE" in caught.value.hint


def test_a_profile_that_does_not_exist(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(BakeryError, match="the bucket cannot be used") as caught:
        S3Bucket("s3://cache")
    assert "nobody" in caught.value.detail


def test_a_variable_that_no_request_can_use(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "cache.example")
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL"):
        S3Bucket("s3://cache")
