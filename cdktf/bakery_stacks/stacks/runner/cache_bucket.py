"""The bucket of GitLab's job cache: objects are deleted by age."""

from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
)
from constructs import Construct

from bakery_stacks import rules
from bakery_stacks.blocks.bucket import PrivateBucket
from bakery_stacks.config import Settings

UPLOAD_DAYS = 1  # listings do not show an incomplete multipart upload, but it costs money


class CacheBucket(PrivateBucket):
    """The bucket is destroyed with its stack, objects included."""

    def __init__(
        self, scope: Construct, name: str, *, settings: Settings, bucket: str, key_arn: str, days: int
    ) -> None:
        super().__init__(scope, name, settings=settings, bucket=bucket, key_arn=key_arn, ephemeral=True)
        rules.allow(self, "BKY030", because="The next job writes a cache again, so old versions would only cost money.")
        rules.allow(self, "BKY033", because="A cache can be lost at any time: the only effect is a slower job.")
        self._expire_objects(days)

    def _expire_objects(self, days: int) -> None:
        rule = S3BucketLifecycleConfigurationRule(
            id="expire",
            status="Enabled",
            filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
            expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=days)],
            abort_incomplete_multipart_upload=[
                S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=UPLOAD_DAYS)
            ],
        )
        S3BucketLifecycleConfiguration(self, "lifecycle", bucket=self.id, rule=[rule])
