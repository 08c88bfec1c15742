"""The stack that images are distributed with: keys, catalog, publisher, announcements."""

from bakery_stacks.base import AwsStack
from bakery_stacks.bindings import Construct
from bakery_stacks.blocks.announcements import Announcements
from bakery_stacks.blocks.bucket import CatalogBucket
from bakery_stacks.blocks.key import ImageKey, alias
from bakery_stacks.blocks.publisher import Publisher
from bakery_stacks.config import Settings
from bakery_stacks.handover import DistributionOutputs


class DistributionStack(AwsStack):
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
        self.output("catalog", f"s3://{bucket.name}/{environment.catalog_prefix}", "for --catalog of the bakery")
        self.output("key_alias", alias(environment), "for kms_alias of definitions; the same in every region")
        self.output("key_arns", keys, "region -> key that encrypts images there")
        self.output("publisher_role_arn", publisher.role_arn, "assumed to publish and promote")
        self.output("topic_arn", news.topic_arn, "tells of new images")
        self.outputs = DistributionOutputs(keys, bucket.arn, publisher.role_arn, news.topic_arn)

    def _key(self, region: str) -> str:
        key = ImageKey(
            self, f"key-{region}", environment=self.environment, region=region, provider=self.provider(region)
        )
        return key.arn
