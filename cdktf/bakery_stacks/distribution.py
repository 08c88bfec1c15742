"""The stack that images are distributed with: keys, catalog, publisher, announcements."""

from bakery_stacks.base import BakeryStack
from bakery_stacks.bindings import Construct, TerraformOutput
from bakery_stacks.blocks.announcements import Announcements
from bakery_stacks.blocks.bucket import CatalogBucket
from bakery_stacks.blocks.key import ImageKey, alias
from bakery_stacks.blocks.publisher import Publisher
from bakery_stacks.config import Settings


class DistributionStack(BakeryStack):
    """Deployed once per environment, before the first image is published."""

    def __init__(self, scope: Construct, settings: Settings) -> None:
        super().__init__(scope, "distribution", settings)
        environment = self.environment
        keys = {region: self._key(region) for region in environment.regions}
        home_key = keys[environment.home_region]
        bucket = CatalogBucket(self, "catalog-bucket", settings=settings, key_arn=home_key)
        publisher = Publisher(
            self, "publisher", environment=environment, bucket_arn=bucket.arn, key_arns=list(keys.values())
        )
        news = Announcements(
            self, "announcements", topic=environment.topic, key_arn=home_key, environment=environment.name
        )
        TerraformOutput(self, "catalog", value=f"s3://{bucket.name}/{environment.catalog_prefix}")
        TerraformOutput(self, "key_alias", value=alias(environment))
        TerraformOutput(self, "key_arns", value=keys)
        TerraformOutput(self, "publisher_role_arn", value=publisher.role_arn)
        TerraformOutput(self, "topic_arn", value=news.topic_arn)

    def _key(self, region: str) -> str:
        key = ImageKey(
            self, f"key-{region}", environment=self.environment, region=region, provider=self.provider(region)
        )
        return key.arn
