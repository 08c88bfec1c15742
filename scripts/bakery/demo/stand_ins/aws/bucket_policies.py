"""Policies and locks of buckets: moto ignores the conditions of a policy, and locks empty buckets only."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import request
from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import InvalidBucketState, S3ClientError
from moto.s3.models import FakeBucket, S3Backend
from moto.s3.responses import S3Response

# Moto names an action after the method of the request (Service Authorization Reference, Amazon S3).
ACTIONS = {"s3:PostObject": "s3:PutObject", "s3:HeadObject": "s3:GetObject"}
# One of them has to come with an object that gets locked (API reference, PutObject).
CHECKSUMS = re.compile(r"content-md5|x-amz-checksum-.*|x-amz-sdk-checksum-algorithm|x-amz-trailer", re.IGNORECASE)

moto_put_object = S3Response.put_object


def get_permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """DENIED if a statement for everybody refuses the current request; statements that allow change nothing here."""
    if self.policy is None:
        return PermissionResult.NEUTRAL
    statements = json.loads(self.policy)["Statement"]
    action = ACTIONS.get(action, action)
    if action == "s3:DeleteObject" and "versionId" in request.args:
        action = "s3:DeleteObjectVersion"
    refused = any(_refuses(statement, action, resource) for statement in statements)
    return PermissionResult.DENIED if refused else PermissionResult.NEUTRAL


def _refuses(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    return bool(
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and _matches(statement["Action"], action)
        and _matches(statement["Resource"], resource)
        and all(_holds(operator, values) for operator, values in statement.get("Condition", {}).items())
    )


def _matches(patterns: str | Sequence[str], text: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) for pattern in listed)


def _holds(operator: str, values: Mapping[str, str]) -> bool:
    """Whether a condition is true of the current request; NotImplementedError for an unknown one."""
    context = {
        "s3:if-none-match": request.headers.get("If-None-Match"),
        "s3:if-match": request.headers.get("If-Match"),
        "aws:SecureTransport": str(request.is_secure).lower(),
    }
    if unknown := values.keys() - context.keys():
        raise NotImplementedError(f"condition keys {', '.join(sorted(unknown))} of a bucket policy")
    match operator:
        case "Null":
            return all((context[key] is None) == (value == "true") for key, value in values.items())
        case "Bool":
            return all(context[key] == value for key, value in values.items())
        case _:
            raise NotImplementedError(f"operator {operator} of a bucket policy")


def put_object(self: S3Response) -> Any:
    bucket = self.backend.get_bucket(self.bucket_name)
    if bucket.default_lock_mode and not any(CHECKSUMS.fullmatch(name) for name in request.headers.keys()):  # noqa: SIM118
        raise S3ClientError("InvalidRequest", "Content-MD5 or a checksum is required for objects with a retention")
    return moto_put_object(self)


def put_object_lock_configuration(
    self: S3Backend,
    bucket_name: str,
    lock_enabled: bool,
    mode: str | None = None,
    days: int | None = None,
    years: int | None = None,
) -> None:
    """Lock a bucket that has versions, empty or not; its present objects stay as they are."""
    bucket = self.get_bucket(bucket_name)
    if not bucket.is_versioned:
        raise InvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
    if lock_enabled:
        bucket.object_lock_enabled = True
    bucket.default_lock_mode, bucket.default_lock_days, bucket.default_lock_years = mode, days, years


BUCKET_HANDLERS = (get_permission,)
BACKEND_HANDLERS = (put_object_lock_configuration,)
RESPONSE_HANDLERS = (put_object,)
