"""The bucket that holds the catalog, or its copy."""

from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from bakery_stacks.blocks.bucket import PrivateBucket
from bakery_stacks.config import Settings


class CatalogBucket(PrivateBucket):
    """Catalog objects never change, so an old version is the result of an accident: all versions are kept."""

    def __init__(
        self, scope: Construct, name: str, *, bucket: str, settings: Settings, key_arn: str, provider: AwsProvider
    ) -> None:
        super().__init__(scope, name, settings=settings, bucket=bucket, key_arn=key_arn, provider=provider)
        self.versioning = self.keep_versions()
