"""A bucket for snapshots: nobody can change or delete an object before its retention ends."""

from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from cdktf_cdktf_provider_aws.s3_bucket_object_lock_configuration import (
    S3BucketObjectLockConfigurationA,
    S3BucketObjectLockConfigurationRuleA,
    S3BucketObjectLockConfigurationRuleDefaultRetentionA,
)
from constructs import Construct

from bakery_stacks.blocks.bucket import PrivateBucket
from bakery_stacks.config import Settings


class LockedBucket(PrivateBucket):
    """Versioned, locked for `days`, then deleted; encrypted, private, over TLS only."""

    def __init__(
        self, scope: Construct, name: str, *, settings: Settings, bucket: str, key_arn: str, days: int
    ) -> None:
        super().__init__(scope, name, settings=settings, bucket=bucket, key_arn=key_arn, object_lock=True)
        self._lock_objects(days)

    def _lock_objects(self, days: int) -> None:
        """Governance mode: an administrator with an extra right can correct a mistake. The nodes have no such right."""
        versions = self.keep_versions()
        retention = S3BucketObjectLockConfigurationRuleDefaultRetentionA(mode="GOVERNANCE", days=days)
        S3BucketObjectLockConfigurationA(
            self,
            "lock",
            bucket=self.id,
            rule=S3BucketObjectLockConfigurationRuleA(default_retention=retention),
            depends_on=[versions],
        )
        expiration = S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=1)
        upload_cleanup = S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=1)
        expire = S3BucketLifecycleConfigurationRule(
            id="expire",
            status="Enabled",
            filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
            expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=days + 1)],
            noncurrent_version_expiration=[expiration],
            abort_incomplete_multipart_upload=[upload_cleanup],
        )
        S3BucketLifecycleConfiguration(self, "lifecycle", bucket=self.id, rule=[expire], depends_on=[versions])
