"""The stack that images are distributed with: keys, catalog, publisher, announcements, guards."""

from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.config import Settings, replica
from bakery_stacks.handover import DistributionOutputs
from bakery_stacks.stacks.distribution.announcements import Announcements
from bakery_stacks.stacks.distribution.catalog_bucket import CatalogBucket
from bakery_stacks.stacks.distribution.guards import NoPublicSharing, RecycleBin
from bakery_stacks.stacks.distribution.image_key import ImageKey, alias
from bakery_stacks.stacks.distribution.publisher import Publisher
from bakery_stacks.stacks.distribution.replication import Replication


class DistributionStack(AwsStack):
    """Deployed once per environment, before the first image is published."""

    def __init__(self, scope: Construct, settings: Settings) -> None:
        super().__init__(scope, "distribution", settings)
        environment = self.environment
        keys = {region: self._key(region) for region in environment.regions}
        home_key = keys[environment.home_region]
        bucket = self._bucket("catalog-bucket", environment.catalog_bucket, environment.home_region, home_key)
        publisher = Publisher(
            self, "publisher", environment=environment, bucket_arn=bucket.arn, key_arns=list(keys.values())
        )
        news = Announcements(self, "announcements", environment=environment, key_arn=home_key)
        for region in environment.regions:
            self._guard(region)
        self.output("catalog", f"s3://{bucket.name}/{environment.catalog_prefix}", "for --catalog of the bakery")
        self.output("key_alias", alias(environment), "for kms_alias of definitions; the same in every region")
        self.output("key_arns", keys, "region -> key that encrypts images there")
        self.output("publisher_role_arn", publisher.role_arn, "assumed to publish and promote")
        self.output("topic_arn", news.topic_arn, "tells of new and withdrawn images")
        if elsewhere := environment.replica_region:
            copy = self._replicate(bucket, elsewhere, keys[elsewhere])
            about = "for --catalog where the home region is gone; reading only"
            self.output("catalog_replica", f"s3://{copy.name}/{environment.catalog_prefix}", about)
        self.outputs = DistributionOutputs(keys, bucket.arn, news.topic_arn)

    def _key(self, region: str) -> str:
        key = ImageKey(
            self, f"key-{region}", environment=self.environment, region=region, provider=self.provider(region)
        )
        return key.arn

    def _bucket(self, name: str, bucket: str, region: str, key_arn: str) -> CatalogBucket:
        return CatalogBucket(
            self, name, bucket=bucket, settings=self.settings, key_arn=key_arn, provider=self.provider(region)
        )

    def _replicate(self, source: CatalogBucket, region: str, key_arn: str) -> CatalogBucket:
        home, name = self.provider(self.environment.home_region), replica(self.environment.catalog_bucket)
        target = self._bucket("catalog-replica", name, region, key_arn)
        environment = self.environment.name
        Replication(self, "replication", environment=environment, source=source, target=target, provider=home)
        return target

    def _guard(self, region: str) -> None:
        environment, provider = self.environment, self.provider(region)
        RecycleBin(
            self, f"bin-{region}", environment=environment.name, days=environment.recycle_days, provider=provider
        )
        if environment.block_public_sharing:
            NoPublicSharing(self, f"private-{region}", provider=provider)
