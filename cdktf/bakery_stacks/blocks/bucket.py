"""A bucket that holds the catalog, or its copy: encrypted, versioned, private, over TLS only."""

from typing import Any

from bakery_stacks.bindings import Construct, aws, core
from bakery_stacks.blocks.policy import document, statement
from bakery_stacks.config import Settings


class CatalogBucket(Construct):
    """Nothing in the catalog ever changes, so old object versions only ever come from accidents: all are kept."""

    def __init__(
        self, scope: Construct, name: str, *, bucket: str, settings: Settings, key_arn: str, provider: Any
    ) -> None:
        super().__init__(scope, name)
        self._provider = provider
        disposable = settings.environment.disposable
        made = aws.S3Bucket(
            self,
            "bucket",
            bucket=bucket,
            force_destroy=disposable,
            provider=provider,
            lifecycle=None if disposable else core.TerraformResourceLifecycle(prevent_destroy=True),
        )
        self.arn: str = made.arn
        self.name: str = made.bucket
        self.key_arn = key_arn
        self.versioning = self._keep(made)
        self._encrypt(made, key_arn)
        block = self._close(made)
        if not settings.stand_in:
            # Both at once is a conflict (409) at S3.
            aws.S3BucketPolicy(
                self, "policy", bucket=made.id, policy=tls_only(made.arn), depends_on=[block], provider=provider
            )

    def _keep(self, bucket: Any) -> Any:
        enabled = aws.S3BucketVersioningVersioningConfiguration(status="Enabled")
        return aws.S3BucketVersioningA(
            self, "versioning", bucket=bucket.id, versioning_configuration=enabled, provider=self._provider
        )

    def _encrypt(self, bucket: Any, key_arn: str) -> None:
        with_key = aws.S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm="aws:kms", kms_master_key_id=key_arn
        )
        rule = aws.S3BucketServerSideEncryptionConfigurationRuleA(
            apply_server_side_encryption_by_default=with_key,
            bucket_key_enabled=True,  # one call to KMS for many small records
        )
        aws.S3BucketServerSideEncryptionConfigurationA(
            self, "encryption", bucket=bucket.id, rule=[rule], provider=self._provider
        )

    def _close(self, bucket: Any) -> Any:
        aws.S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=bucket.id,
            rule=aws.S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
            provider=self._provider,
        )
        return aws.S3BucketPublicAccessBlock(
            self,
            "private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            provider=self._provider,
        )


def tls_only(arn: str) -> str:
    """Refuses every request that is not encrypted on its way."""
    refusal = statement(
        "RefusePlainHttp",
        ["s3:*"],
        [arn, f"{arn}/*"],
        effect="Deny",
        principals={"AWS": "*"},
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )
    return document(refusal)
