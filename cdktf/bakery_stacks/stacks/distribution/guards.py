"""Protects the images of a region: nobody can make them public, and deleted ones can be restored for some days."""

from cdktf_cdktf_provider_aws.ebs_snapshot_block_public_access import EbsSnapshotBlockPublicAccess
from cdktf_cdktf_provider_aws.ec2_image_block_public_access import Ec2ImageBlockPublicAccess
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.rbin_rule import RbinRule, RbinRuleResourceTags, RbinRuleRetentionPeriod
from constructs import Construct

KINDS = {"images": "EC2_IMAGE", "snapshots": "EBS_SNAPSHOT"}
# The Recycle Bin matches pairs only. `bakery publish` sets this one on every image and snapshot.
RESOURCE_TAG = {"resource_tag_key": "bakery:arch", "resource_tag_value": "x86_64"}


class NoPublicSharing(Construct):
    """A setting for all images and snapshots of the account in one region. A destroy removes it."""

    def __init__(self, scope: Construct, name: str, *, provider: AwsProvider) -> None:
        super().__init__(scope, name)
        # The strictest value that AWS has for images: public images stay public.
        Ec2ImageBlockPublicAccess(self, "images", state="block-new-sharing", provider=provider)
        EbsSnapshotBlockPublicAccess(self, "snapshots", state="block-all-sharing", provider=provider)


class RecycleBin(Construct):
    """Keeps deleted images and snapshots for some days. They cost as much as before."""

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
