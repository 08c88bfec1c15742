"""A bucket whose objects nobody can change or delete before their time: for copies of what must not be lost."""

from bakery_stacks.bindings import Construct, aws
from bakery_stacks.blocks.bucket import PrivateBucket
from bakery_stacks.config import Settings


class Archive(PrivateBucket):
    """Versioned, locked for `days`, then deleted; encrypted, private, over TLS only."""

    def __init__(
        self, scope: Construct, name: str, *, settings: Settings, bucket: str, key_arn: str, days: int
    ) -> None:
        super().__init__(scope, name, settings=settings, bucket=bucket, key_arn=key_arn, locked=True)
        self._keep(days)

    def _keep(self, days: int) -> None:
        """Governance: an administrator with a right of its own can still undo a mistake; the nodes have none."""
        versions = self.keep_versions()
        retention = aws.S3BucketObjectLockConfigurationRuleDefaultRetentionA(mode="GOVERNANCE", days=days)
        aws.S3BucketObjectLockConfigurationA(
            self,
            "lock",
            bucket=self.id,
            rule=aws.S3BucketObjectLockConfigurationRuleA(default_retention=retention),
            depends_on=[versions],
        )
        gone = aws.S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=1)
        unfinished = aws.S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=1)
        expire = aws.S3BucketLifecycleConfigurationRule(
            id="expire",
            status="Enabled",
            filter=[aws.S3BucketLifecycleConfigurationRuleFilter(prefix="")],
            expiration=[aws.S3BucketLifecycleConfigurationRuleExpiration(days=days + 1)],
            noncurrent_version_expiration=[gone],
            abort_incomplete_multipart_upload=[unfinished],
        )
        aws.S3BucketLifecycleConfiguration(self, "lifecycle", bucket=self.id, rule=[expire], depends_on=[versions])
