"""What keeps a region's images from being made public, and from being lost at once."""

from typing import Any

from bakery_stacks.bindings import Construct, aws

KINDS = {"images": "EC2_IMAGE", "snapshots": "EBS_SNAPSHOT"}
# The Recycle Bin takes pairs only, no bare keys. This one is on all that `bakery publish` makes, of any image.
OURS = {"resource_tag_key": "bakery:arch", "resource_tag_value": "x86_64"}


class NoPublicSharing(Construct):
    """A setting of the whole account in one region, ours or not. A destroy takes it back."""

    def __init__(self, scope: Construct, name: str, *, provider: Any) -> None:
        super().__init__(scope, name)
        # AWS knows no stricter one for images: those that are public already stay so.
        aws.Ec2ImageBlockPublicAccess(self, "images", state="block-new-sharing", provider=provider)
        aws.EbsSnapshotBlockPublicAccess(self, "snapshots", state="block-all-sharing", provider=provider)


class RecycleBin(Construct):
    """Keeps our deleted images and snapshots for some days. They cost what they did before."""

    def __init__(self, scope: Construct, name: str, *, environment: str, days: int, provider: Any) -> None:
        super().__init__(scope, name)
        for kind, resource_type in KINDS.items():
            aws.RbinRule(
                self,
                kind,
                description=f"Deleted {kind} of {environment}",
                resource_type=resource_type,
                resource_tags=[aws.RbinRuleResourceTags(**OURS)],
                retention_period=aws.RbinRuleRetentionPeriod(retention_period_value=days, retention_period_unit="DAYS"),
                provider=provider,
            )
