"""What keeps a region's images from being made public, and from being lost at once."""

from cdktf_cdktf_provider_aws.ebs_snapshot_block_public_access import EbsSnapshotBlockPublicAccess
from cdktf_cdktf_provider_aws.ec2_image_block_public_access import Ec2ImageBlockPublicAccess
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.rbin_rule import RbinRule, RbinRuleResourceTags, RbinRuleRetentionPeriod
from constructs import Construct

KINDS = {"images": "EC2_IMAGE", "snapshots": "EBS_SNAPSHOT"}
# The Recycle Bin takes pairs only, no bare keys. This one is on all that `bakery publish` makes, of any image.
RESOURCE_TAG = {"resource_tag_key": "bakery:arch", "resource_tag_value": "x86_64"}


class NoPublicSharing(Construct):
    """A setting of the whole account in one region, ours or not. A destroy takes it back."""

    def __init__(self, scope: Construct, name: str, *, provider: AwsProvider) -> None:
        super().__init__(scope, name)
        # AWS knows no stricter one for images: those that are public already stay so.
        Ec2ImageBlockPublicAccess(self, "images", state="block-new-sharing", provider=provider)
        EbsSnapshotBlockPublicAccess(self, "snapshots", state="block-all-sharing", provider=provider)


class RecycleBin(Construct):
    """Keeps our deleted images and snapshots for some days. They cost what they did before."""

    def __init__(self, scope: Construct, name: str, *, environment: str, days: int, provider: AwsProvider) -> None:
        super().__init__(scope, name)
        for kind, resource_type in KINDS.items():
            RbinRule(
                self,
                kind,
                description=f"Deleted {kind} of {environment}",
                resource_type=resource_type,
                resource_tags=[RbinRuleResourceTags(**RESOURCE_TAG)],
                retention_period=RbinRuleRetentionPeriod(retention_period_value=days, retention_period_unit="DAYS"),
                provider=provider,
            )
