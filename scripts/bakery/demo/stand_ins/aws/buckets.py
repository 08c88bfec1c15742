"""Replication rules of buckets as they were put: moto answers with a part of each. Nothing is copied by them here."""

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult
from moto.s3.exceptions import ReplicationConfigurationNotFoundError
from moto.s3.responses import S3Response


def get_bucket_replication(self: S3Response) -> str | TYPE_RESPONSE:
    self.data["Action"] = "GetBucketReplication"
    configuration = self.backend.get_bucket_replication(self.bucket_name)
    if not configuration:
        raise ReplicationConfigurationNotFoundError(bucket_name=self.bucket_name)
    # An empty element of XML is nothing to moto, and an empty text to S3.
    rules = [
        {**rule, "Filter": {"Prefix": (rule.get("Filter") or {}).get("Prefix") or ""}} for rule in configuration["Rule"]
    ]
    return self.serialized(ActionResult({"ReplicationConfiguration": {"Role": configuration["Role"], "Rules": rules}}))


HANDLERS = (get_bucket_replication,)
