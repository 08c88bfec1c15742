"""A bucket of S3, with the login of the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from bakery.clouds.aws.calls import error_code
from bakery.host import files
from bakery.host.aws_variables import LOG_IN, check_variables, explain_settings
from bakery.host.errors import BakeryError, NotFoundError, OutageError

# A bucket that does not answer must not hold up a bake. A connection tries each address of S3, of which DNS names some.
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=20)
OUTAGES = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError)
OVERLOADED = ("InternalError", "ServiceUnavailable", "SlowDown")  # S3, "Error responses": try again
UNREACHED = "check the network, the proxy variables and AWS_ENDPOINT_URL"
NOT_THERE = "make it, or name another one"
# Without the right to list, S3 denies access to an object that does not exist (S3 API reference, GetObject).
REFUSED = "give the role s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject on its objects"


class S3Bucket:
    """The objects below s3://BUCKET/PREFIX."""

    def __init__(self, location: str) -> None:
        self._name, _, prefix = location.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/".removeprefix("/")
        self.location = f"s3://{self._name}/{self._prefix}".rstrip("/")
        check_variables(os.environ)
        with explain_settings(), self._explain_errors(""):
            session: Any = boto3.Session()
            self._client = session.client("s3", config=CONFIG)

    def open(self, key: str) -> tuple[int, Iterator[bytes]]:
        with self._explain_errors(key):
            answer = self._client.get_object(Bucket=self._name, Key=self._prefix + key)
        return answer["ContentLength"], self._read_chunks(answer["Body"], key)

    def _read_chunks(self, body: Any, key: str) -> Iterator[bytes]:
        with self._explain_errors(key), body:
            yield from body.iter_chunks(files.CHUNK)

    def write(self, key: str, content: BinaryIO) -> None:
        with self._explain_errors(key):
            self._client.upload_fileobj(content, self._name, self._prefix + key)

    def remove(self, key: str) -> None:
        with self._explain_errors(key):
            self._client.delete_object(Bucket=self._name, Key=self._prefix + key)

    @contextmanager
    def _explain_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError) as error:  # the last: not from S3
            raise _explain_error(error, f"{self.location}/{key}".rstrip("/")) from error


def _explain_error(error: Exception, where: str) -> BakeryError:
    if isinstance(error, OUTAGES) or error_code(error) in OVERLOADED:
        return OutageError("the bucket cannot be reached", where=where, detail=str(error), hint=UNREACHED)
    match error_code(error):
        case "NoSuchKey":
            return NotFoundError("not in the bucket", where=where)
        case "NoSuchBucket":
            return BakeryError("the bucket does not exist", where=where, hint=NOT_THERE)
        case "AccessDenied":
            return BakeryError("no access to the bucket", where=where, detail=str(error), hint=REFUSED)
        case _:
            return BakeryError("the bucket cannot be used", where=where, detail=str(error), hint=LOG_IN)
