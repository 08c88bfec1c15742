"""The bucket that holds the catalog, or its copy."""

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.s3_bucket_object_lock_configuration import (
    S3BucketObjectLockConfigurationA,
    S3BucketObjectLockConfigurationRuleA,
    S3BucketObjectLockConfigurationRuleDefaultRetentionA,
)
from constructs import Construct

from bakery_stacks.blocks.bucket import PrivateBucket
from bakery_stacks.blocks.policy import Conditions, Principals, Statement, statement
from bakery_stacks.config import Settings

EVERYBODY: Principals = {"AWS": "*"}
# True where the header is absent (S3 User Guide, "Enforce conditional writes on Amazon S3 buckets"). Copies and
# multipart uploads cannot send it, and the bakery makes neither. Replication is another action, s3:ReplicateObject.
UNCONDITIONAL: Conditions = {"Null": {"s3:if-none-match": "true"}}


class CatalogBucket(PrivateBucket):
    """Append-only: no object is replaced or deleted, not even by an administrator, while the policy is there.

    All versions are kept, and each is locked for `catalog_lock_days`, in case somebody removes the policy. The lock is
    a resource of its own and not a property of the bucket, so an existing bucket gets it without being replaced.
    """

    def __init__(
        self, scope: Construct, name: str, *, bucket: str, settings: Settings, key_arn: str, provider: AwsProvider
    ) -> None:
        super().__init__(scope, name, settings=settings, bucket=bucket, key_arn=key_arn, provider=provider)
        self.versioning = self.keep_versions()
        days = settings.environment.catalog_lock_days
        retention = S3BucketObjectLockConfigurationRuleDefaultRetentionA(mode="GOVERNANCE", days=days)
        self.lock = S3BucketObjectLockConfigurationA(
            self,
            "lock",
            bucket=self.id,
            rule=S3BucketObjectLockConfigurationRuleA(default_retention=retention),
            depends_on=[self.versioning],
            provider=provider,
        )

    def _refusals(self) -> Sequence[Statement]:
        """A delete marker hides an object without any lock, and a write is then no overwrite: so no deletes either."""
        objects = [f"{self.arn}/*"]
        delete = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        return (
            statement(
                "RefuseOverwrites",
                ["s3:PutObject"],
                objects,
                effect="Deny",
                principals=EVERYBODY,
                conditions=UNCONDITIONAL,
            ),
            statement("RefuseDeletes", delete, objects, effect="Deny", principals=EVERYBODY),
        )
