"""Stores the catalog in a folder or an S3 bucket. Keys are slash-separated; objects never change."""

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from bakery.host import files
from bakery.host.aws_variables import LOG_IN, check_variables
from bakery.host.errors import BakeryError, NotFoundError, OutageError, UsageError
from bakery.host.parallel import threads

Item = TypeVar("Item")
Result = TypeVar("Result")

OVERLOADED = ("InternalError", "ServiceUnavailable", "SlowDown")  # S3, "Error responses": try again
CONNECTIONS = 16  # requests at once; S3 answers one in some 30 ms, and far more of them at once
UNREACHED = "check the network, the proxy variables and AWS_ENDPOINT_URL, then run the same command again"
WRONG_CLOCK = "set the clock of this machine: it is more than 15 minutes wrong"  # S3, error responses


class Store(Protocol):
    """The three operations that the catalog needs.

    A key has no empty part, no `.` and no `..`: nothing is under such a key, and nothing can be written there.
    """

    location: str

    def list(self, prefix: str) -> list[str]:
        """Names directly under `prefix`, unordered; empty if there are none."""

    def read(self, key: str) -> bytes:
        """The object's bytes; NotFoundError if it does not exist."""

    def create(self, key: str, data: bytes) -> bool:
        """Write a new object; False, and nothing written, if the key is taken. BakeryError if it is not a key."""


def read_all(items: Iterable[Item], read: Callable[[Item], Result]) -> list[Result]:
    """Read all items, several at once, in their order."""
    with threads(CONNECTIONS) as submit:
        running = [submit(partial(read, item)) for item in items]
        return [future.result() for future in running]


def open_store(location: str, *, must_exist: bool = False) -> Store:
    """A store by its location: a path, or s3://BUCKET/PREFIX. UsageError for another scheme, such as a mistyped one.

    NotFoundError if a folder must exist and does not; the first request finds out whether a bucket does.
    """
    if match := re.fullmatch(r"s3://([^/]+)/?(.*)", location):
        return S3Store(match[1], match[2].strip("/"))
    if re.match(r"\w[\w+.-]*:", location):
        raise UsageError(
            f"'{location}' is not a location of a catalog",
            hint="it is a folder, or s3://BUCKET/PREFIX; a folder with a colon in its name is written ./NAME",
        )
    if must_exist and not Path(location).is_dir():
        raise NotFoundError(
            "there is no catalog",
            where=location,
            hint="name the right one with --catalog or BAKERY_CATALOG; 'bakery run' makes a new one",
        )
    return FolderStore(Path(location))


class FolderStore:
    """A folder, on one machine or on a shared file system that supports link(2)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.location = str(root)

    def list(self, prefix: str) -> list[str]:
        if not _is_key(prefix):
            return []
        try:
            with os.scandir(self._root / prefix) as entries:
                return [entry.name for entry in entries if _is_there(entry)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._explain_error(error, prefix) from error

    def read(self, key: str) -> bytes:
        _require_readable(key, self.location)
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError("not in the catalog", where=f"{self.location}/{key}") from error
        except OSError as error:
            raise self._explain_error(error, key) from error

    def create(self, key: str, data: bytes) -> bool:
        _require_writable(key, self.location)
        return files.create(self._root / key, data)

    def _explain_error(self, error: OSError, key: str) -> BakeryError:
        return BakeryError(f"the catalog cannot be read: {error.strerror}", where=f"{self.location}/{key}")


class S3Store:
    """A bucket, through conditional writes (If-None-Match: *, in S3 since August 2024)."""

    def __init__(self, bucket: str, prefix: str) -> None:
        import boto3  # 150 ms: only when the catalog is in S3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

        check_variables(os.environ)
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._errors = (BotoCoreError, ClientError)
        self._outages = (ConnectionError, HTTPClientError)
        self.location = f"s3://{bucket}/{prefix}".rstrip("/")
        retries = Config(
            retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=10, max_pool_connections=CONNECTIONS
        )
        try:
            self._client = boto3.client("s3", config=retries)
        except self._errors as error:  # such as AWS_PROFILE with a name that does not exist
            raise self._explain_error(error, "") from error

    def list(self, prefix: str) -> list[str]:
        if not _is_key(prefix):
            return []
        start = f"{self._prefix}{prefix.rstrip('/')}/"
        paginator = self._client.get_paginator("list_objects_v2")
        try:
            pages = list(paginator.paginate(Bucket=self._bucket, Prefix=start, Delimiter="/"))
        except self._errors as error:
            raise self._explain_error(error, prefix) from error
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        folders = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
        names = (key.removeprefix(start).rstrip("/") for key in (*keys, *folders))
        return [name for name in names if name and not name.startswith(".")]

    def read(self, key: str) -> bytes:
        _require_readable(key, self.location)
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            data: bytes = answer["Body"].read()
        except self._errors as error:
            raise self._explain_error(error, key) from error
        return data

    def create(self, key: str, data: bytes) -> bool:
        _require_writable(key, self.location)
        try:
            # A bucket with Object Lock takes no object without a checksum (S3, "PutObject").
            self._client.put_object(
                Bucket=self._bucket, Key=self._prefix + key, Body=data, IfNoneMatch="*", ChecksumAlgorithm="SHA256"
            )
        except self._errors as error:
            if _error_code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            raise self._explain_error(error, key) from error
        return True

    def _explain_error(self, error: Exception, key: str) -> BakeryError:
        where = f"{self.location}/{key}".rstrip("/")
        if isinstance(error, self._outages) or _error_code(error) in OVERLOADED:
            return OutageError("the catalog cannot be reached", where=where, detail=str(error), hint=UNREACHED)
        match _error_code(error):
            case "NoSuchKey":
                return NotFoundError("not in the catalog", where=where)
            case "NoSuchBucket":
                return NotFoundError(
                    "the catalog bucket does not exist",
                    where=where,
                    hint="deploy the distribution stack first",
                )
            case "RequestTimeTooSkewed":
                return BakeryError("the catalog cannot be used", where=where, detail=str(error), hint=WRONG_CLOCK)
            case "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken":
                return BakeryError("no access to the catalog", where=where, detail=str(error), hint=LOG_IN)
            case _:
                return BakeryError("the catalog cannot be used", where=where, detail=str(error), hint=LOG_IN)


def _is_key(key: str) -> bool:
    """Whether a key stays in its store: a part `..` of a tampered document would lead out of a folder."""
    return all(part not in ("", ".", "..") for part in key.rstrip("/").split("/"))


def _require_readable(key: str, location: str) -> None:
    if not _is_key(key):
        raise NotFoundError("not in the catalog", where=f"{location}/{key}")


def _require_writable(key: str, location: str) -> None:
    if not _is_key(key):
        raise BakeryError("this is not a valid path in the catalog", where=f"{location}/{key}")


def _is_there(entry: os.DirEntry[str]) -> bool:
    """Whether a path is an object or a folder, and not the rest of an interrupted `create` (a hidden file)."""
    if entry.name.startswith("."):
        return False
    return not entry.is_dir() or any(not name.startswith(".") for name in os.listdir(entry.path))  # noqa: PTH208 - speed


def _error_code(error: Exception) -> str:
    response: dict[str, dict[str, str]] = getattr(error, "response", None) or {}
    return response.get("Error", {}).get("Code", "")
