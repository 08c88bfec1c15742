"""Complete replication rules of buckets: moto returns only a part of each. The stand-in copies nothing."""

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult
from moto.s3.exceptions import ReplicationConfigurationNotFoundError
from moto.s3.responses import S3Response


def get_bucket_replication(self: S3Response) -> str | TYPE_RESPONSE:
    self.data["Action"] = "GetBucketReplication"
    configuration = self.backend.get_bucket_replication(self.bucket_name)
    if not configuration:
        raise ReplicationConfigurationNotFoundError(bucket_name=self.bucket_name)
    # Moto ignores an empty XML element; S3 reads it as an empty text.
    rules = [
        {**rule, "Filter": {"Prefix": (rule.get("Filter") or {}).get("Prefix") or ""}} for rule in configuration["Rule"]
    ]
    return self.serialized(ActionResult({"ReplicationConfiguration": {"Role": configuration["Role"], "Rules": rules}}))


HANDLERS = (get_bucket_replication,)
