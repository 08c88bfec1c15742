"""A bucket for what can be made again: encrypted, private, over TLS only, emptied by age."""

from typing import Any

from bakery_stacks import rules
from bakery_stacks.bindings import Construct, aws
from bakery_stacks.blocks.bucket import tls_only
from bakery_stacks.config import Settings

UPLOAD_DAYS = 1  # an interrupted upload of parts cannot be seen, and is paid for


class CacheBucket(Construct):
    """It goes with its stack, whatever is in it."""

    def __init__(
        self, scope: Construct, name: str, *, settings: Settings, bucket: str, key_arn: str, days: int
    ) -> None:
        super().__init__(scope, name)
        rules.allow(self, "BKY030", because="A cache is written again by the next job: old versions would only cost.")
        rules.allow(self, "BKY033", because="A cache can be lost at any time: the next job is slower, and that is all.")
        made = aws.S3Bucket(self, "bucket", bucket=bucket, force_destroy=True)
        self.name: str = made.bucket
        self._encrypt(made.id, key_arn)
        self._expire(made.id, days)
        block = self._close(made.id)
        if not settings.stand_in:
            # Both at once is a conflict (409) at S3.
            aws.S3BucketPolicy(self, "policy", bucket=made.id, policy=tls_only(made.arn), depends_on=[block])

    def _encrypt(self, bucket: str, key_arn: str) -> None:
        with_key = aws.S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm="aws:kms", kms_master_key_id=key_arn
        )
        rule = aws.S3BucketServerSideEncryptionConfigurationRuleA(
            apply_server_side_encryption_by_default=with_key,
            bucket_key_enabled=True,  # one call to KMS for many objects
        )
        aws.S3BucketServerSideEncryptionConfigurationA(self, "encryption", bucket=bucket, rule=[rule])

    def _expire(self, bucket: str, days: int) -> None:
        rule = aws.S3BucketLifecycleConfigurationRule(
            id="expire",
            status="Enabled",
            filter=[aws.S3BucketLifecycleConfigurationRuleFilter(prefix="")],
            expiration=[aws.S3BucketLifecycleConfigurationRuleExpiration(days=days)],
            abort_incomplete_multipart_upload=[
                aws.S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=UPLOAD_DAYS)
            ],
        )
        aws.S3BucketLifecycleConfiguration(self, "lifecycle", bucket=bucket, rule=[rule])

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
