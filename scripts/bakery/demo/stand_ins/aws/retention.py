"""Images and snapshots that a rule of the Recycle Bin keeps after their end.

Source: the EBS user guide, "Recover deleted Amazon EBS snapshots and EBS-backed AMIs with Recycle Bin" and
"Considerations for Recycle Bin".
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot

from bakery.demo.stand_ins.aws.world import WORLD, Retained

IMAGE, SNAPSHOT = "EC2_IMAGE", "EBS_SNAPSHOT"
IN_BIN = "aws:recycle-bin:resource-in-bin"  # a tag that the bin sets and removes


def retain(backend: EC2Backend, kind: str, resource: Ami | Snapshot) -> bool:
    """Put what was just removed into the bin, if a rule covers it; the longest period counts."""
    tags = {tag["key"]: tag["value"] for tag in resource.get_tags()}
    days = [
        rule["RetentionPeriod"]["RetentionPeriodValue"]
        for (account, region, _), rule in WORLD.retention.items()
        if (account, region) == (backend.account_id, backend.region_name) and _covers(rule, kind, tags)
    ]
    if not days:
        return False
    now = WORLD.now()
    key = backend.account_id, backend.region_name, resource.id
    WORLD.bin[key] = Retained(kind, resource, now, now + timedelta(days=max(days)))
    backend.create_tags([resource.id], {IN_BIN: "true"})
    return True


def _covers(rule: Mapping[str, Any], kind: str, tags: Mapping[str, str]) -> bool:
    """Whether a rule is active and for this resource: by one of its tags, or for the region with exceptions."""
    if rule["ResourceType"] != kind or rule.get("Status", "available") != "available":
        return False
    if required := rule.get("ResourceTags"):
        return any(_has_tag(tags, tag) for tag in required)
    return not any(_has_tag(tags, tag) for tag in rule.get("ExcludeResourceTags", ()))


def _has_tag(tags: Mapping[str, str], tag: Mapping[str, str]) -> bool:
    return tags.get(tag["ResourceTagKey"]) == tag["ResourceTagValue"]


def list_retained(backend: EC2Backend, kind: str) -> dict[str, Retained]:
    """By ID, what the account has in the bin of this region. Resources whose period is over go now."""
    for key, retained in list(WORLD.bin.items()):
        if retained.leaves <= WORLD.now():
            del WORLD.bin[key]
            WORLD.disks.pop(key[2], None)
    return {
        name: retained
        for (account, region, name), retained in WORLD.bin.items()
        if (account, region, retained.kind) == (backend.account_id, backend.region_name, kind)
    }


def take_back(backend: EC2Backend, name: str) -> None:
    """Remove a resource from the bin, because it is restored."""
    del WORLD.bin[backend.account_id, backend.region_name, name]
    backend.delete_tags([name], {IN_BIN: "true"})
