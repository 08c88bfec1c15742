"""A bucket whose objects nobody can change or delete before their time: for copies of what must not be lost."""

from typing import Any

from bakery_stacks.bindings import Construct, aws, core
from bakery_stacks.blocks.bucket import tls_only
from bakery_stacks.config import Settings


class Archive(Construct):
    """Versioned, locked for `days`, then deleted; encrypted, private, over TLS only."""

    def __init__(
        self, scope: Construct, name: str, *, settings: Settings, bucket: str, key_arn: str, days: int
    ) -> None:
        super().__init__(scope, name)
        disposable = settings.environment.disposable
        made = aws.S3Bucket(
            self,
            "bucket",
            bucket=bucket,
            object_lock_enabled=True,
            force_destroy=disposable,
            lifecycle=None if disposable else core.TerraformResourceLifecycle(prevent_destroy=True),
        )
        self.name: str = made.bucket
        self.arn: str = made.arn
        self._encrypt(made.id, key_arn)
        self._keep(made.id, days)
        block = self._close(made.id)
        if not settings.stand_in:
            # Both at once is a conflict (409) at S3.
            aws.S3BucketPolicy(self, "policy", bucket=made.id, policy=tls_only(made.arn), depends_on=[block])

    def _encrypt(self, bucket: str, key_arn: str) -> None:
        with_key = aws.S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm="aws:kms", kms_master_key_id=key_arn
        )
        rule = aws.S3BucketServerSideEncryptionConfigurationRuleA(
            apply_server_side_encryption_by_default=with_key, bucket_key_enabled=True
        )
        aws.S3BucketServerSideEncryptionConfigurationA(self, "encryption", bucket=bucket, rule=[rule])

    def _keep(self, bucket: str, days: int) -> None:
        """Governance: an administrator with a right of its own can still undo a mistake; the nodes have none."""
        enabled = aws.S3BucketVersioningVersioningConfiguration(status="Enabled")
        versions = aws.S3BucketVersioningA(self, "versioning", bucket=bucket, versioning_configuration=enabled)
        retention = aws.S3BucketObjectLockConfigurationRuleDefaultRetentionA(mode="GOVERNANCE", days=days)
        aws.S3BucketObjectLockConfigurationA(
            self,
            "lock",
            bucket=bucket,
            rule=aws.S3BucketObjectLockConfigurationRuleA(default_retention=retention),
            depends_on=[versions],
        )
        gone = aws.S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=1)
        expire = aws.S3BucketLifecycleConfigurationRule(
            id="expire",
            status="Enabled",
            filter=[aws.S3BucketLifecycleConfigurationRuleFilter(prefix="")],
            expiration=[aws.S3BucketLifecycleConfigurationRuleExpiration(days=days + 1)],
            noncurrent_version_expiration=[gone],
        )
        aws.S3BucketLifecycleConfiguration(self, "lifecycle", bucket=bucket, rule=[expire], depends_on=[versions])

    def _close(self, bucket: str) -> Any:
        owner = aws.S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced")
        aws.S3BucketOwnershipControls(self, "ownership", bucket=bucket, rule=owner)
        return aws.S3BucketPublicAccessBlock(
            self,
            "private",
            bucket=bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
