"""The settings that every bucket has."""

from collections.abc import Sequence

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_ownership_controls import (
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import S3BucketVersioningA, S3BucketVersioningVersioningConfiguration
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, policy_document, statement
from bakery_stacks.config import Settings


class PrivateBucket(Construct):
    """Encrypted with a key, closed to the public, over TLS only.

    An `ephemeral` bucket is destroyed with its stack, objects included; any other is protected unless the environment
    is disposable. With `object_lock`, objects cannot be deleted before their retention ends.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        settings: Settings,
        bucket: str,
        key_arn: str,
        ephemeral: bool = False,
        object_lock: bool = False,
        provider: AwsProvider | None = None,
    ) -> None:
        super().__init__(scope, name)
        self.key_arn = key_arn
        self._provider = provider
        disposable = ephemeral or settings.environment.disposable
        resource = S3Bucket(
            self,
            "bucket",
            bucket=bucket,
            object_lock_enabled=object_lock or None,
            force_destroy=disposable,
            provider=provider,
            lifecycle=None if disposable else TerraformResourceLifecycle(prevent_destroy=True),
        )
        self.arn: str = resource.arn
        self.name: str = resource.bucket
        self.id: str = resource.id
        self._add_encryption()
        block = self._block_public_access()
        # The endpoint of a stand-in is plain HTTP.
        statements = [*([] if settings.stand_in else [refuse_plain_http(self.arn)]), *self._refusals()]
        if statements:
            # S3 answers 409 when the policy and the block are set at the same time.
            policy = policy_document(*statements)
            S3BucketPolicy(self, "policy", bucket=self.id, policy=policy, depends_on=[block], provider=provider)

    def _refusals(self) -> Sequence[Statement]:
        """Further statements of the policy, which refuse something to everybody."""
        return ()

    def keep_versions(self) -> S3BucketVersioningA:
        """Turn versioning on. Replication and locks depend on the resource."""
        enabled = S3BucketVersioningVersioningConfiguration(status="Enabled")
        return S3BucketVersioningA(
            self, "versioning", bucket=self.id, versioning_configuration=enabled, provider=self._provider
        )

    def _add_encryption(self) -> None:
        default_encryption = S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm="aws:kms", kms_master_key_id=self.key_arn
        )
        rule = S3BucketServerSideEncryptionConfigurationRuleA(
            apply_server_side_encryption_by_default=default_encryption,
            bucket_key_enabled=True,  # one call to KMS for many objects
        )
        S3BucketServerSideEncryptionConfigurationA(
            self, "encryption", bucket=self.id, rule=[rule], provider=self._provider
        )

    def _block_public_access(self) -> S3BucketPublicAccessBlock:
        owner = S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced")
        S3BucketOwnershipControls(self, "ownership", bucket=self.id, rule=owner, provider=self._provider)
        return S3BucketPublicAccessBlock(
            self,
            "private",
            bucket=self.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            provider=self._provider,
        )


def refuse_plain_http(arn: str) -> Statement:
    """Refuse every request without TLS."""
    return statement(
        "RefusePlainHttp",
        ["s3:*"],
        [arn, f"{arn}/*"],
        effect="Deny",
        principals={"AWS": "*"},
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )
