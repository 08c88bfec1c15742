"""The bucket that holds the catalog, or its copy."""

from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from bakery_stacks.blocks.bucket import PrivateBucket
from bakery_stacks.config import Settings


class CatalogBucket(PrivateBucket):
    """Nothing in the catalog ever changes, so old object versions only ever come from accidents: all are kept."""

    def __init__(
        self, scope: Construct, name: str, *, bucket: str, settings: Settings, key_arn: str, provider: AwsProvider
    ) -> None:
        super().__init__(scope, name, settings=settings, bucket=bucket, key_arn=key_arn, provider=provider)
        self.versioning = self.keep_versions()
