"""The stack that images are distributed with: keys, catalog, publisher, announcements, guards."""

from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.config import Settings, replica_bucket
from bakery_stacks.outputs import DistributionOutputs
from bakery_stacks.stacks.distribution.announcements import Announcements
from bakery_stacks.stacks.distribution.catalog_bucket import CatalogBucket
from bakery_stacks.stacks.distribution.guards import NoPublicSharing, RecycleBin
from bakery_stacks.stacks.distribution.image_key import ImageKey, key_alias
from bakery_stacks.stacks.distribution.publisher import Publisher
from bakery_stacks.stacks.distribution.replication import Replication


class DistributionStack(AwsStack):
    """Deployed once per environment, before the first image is published."""

    def __init__(self, scope: Construct, settings: Settings) -> None:
        super().__init__(scope, "distribution", settings)
        environment = self.environment
        home = environment.home_region
        keys = {region: make_key(self, region) for region in environment.regions}
        bucket = make_bucket(self, "catalog-bucket", environment.catalog_bucket, home, keys[home])
        publisher = Publisher(
            self, "publisher", environment=environment, bucket_arn=bucket.arn, key_arns=list(keys.values())
        )
        announcements = Announcements(self, "announcements", environment=environment, key_arn=keys[home])
        for region in environment.regions:
            guard_images(self, region)
        self.output("catalog", f"s3://{bucket.name}/{environment.catalog_prefix}", "for --catalog of the bakery")
        self.output("key_alias", key_alias(environment), "for kms_alias of definitions; the same in every region")
        self.output("key_arns", keys, "region -> key that encrypts images there")
        self.output("publisher_role_arn", publisher.role_arn, "assumed to publish and promote")
        self.output("topic_arn", announcements.topic_arn, "announces new and withdrawn images")
        if replica_region := environment.replica_region:
            copy = replicate_catalog(self, bucket, replica_region, keys[replica_region])
            description = "for --catalog if the home region fails; read-only"
            self.output("catalog_replica", f"s3://{copy.name}/{environment.catalog_prefix}", description)
        self.outputs = DistributionOutputs(keys, bucket.arn, announcements.topic_arn)


def make_key(stack: AwsStack, region: str) -> str:
    """The ARN of the key that encrypts images in a region."""
    provider = stack.provider(region)
    return ImageKey(stack, f"key-{region}", environment=stack.environment, region=region, provider=provider).arn


def make_bucket(stack: AwsStack, construct_id: str, bucket: str, region: str, key_arn: str) -> CatalogBucket:
    """A bucket for the catalog, in a region."""
    settings, provider = stack.settings, stack.provider(region)
    return CatalogBucket(stack, construct_id, bucket=bucket, settings=settings, key_arn=key_arn, provider=provider)


def replicate_catalog(stack: AwsStack, source: CatalogBucket, region: str, key_arn: str) -> CatalogBucket:
    """The bucket of another region that S3 copies the catalog to."""
    environment = stack.environment
    home, name = stack.provider(environment.home_region), replica_bucket(environment.catalog_bucket)
    target = make_bucket(stack, "catalog-replica", name, region, key_arn)
    Replication(stack, "replication", environment=environment.name, source=source, target=target, provider=home)
    return target


def guard_images(stack: AwsStack, region: str) -> None:
    """Keeps deleted images for some days, and all images from being made public."""
    environment, provider = stack.environment, stack.provider(region)
    RecycleBin(stack, f"bin-{region}", environment=environment.name, days=environment.recycle_days, provider=provider)
    if environment.block_public_sharing:
        NoPublicSharing(stack, f"private-{region}", provider=provider)
