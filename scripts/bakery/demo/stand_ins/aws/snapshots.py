"""EC2 snapshots: pending for some answers, visible to the accounts they are shared with, undeletable while in use."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError, InvalidSnapshotInUse
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.utils import generic_filter, random_snapshot_id

from bakery.demo.stand_ins.aws import retention, sharing
from bakery.demo.stand_ins.aws.world import WORLD, Pending

Resource = TypeVar("Resource", Ami, Snapshot)


@dataclass(frozen=True)
class NoVolume:
    """The volume ID of a snapshot that was not taken from a volume (EC2 user guide)."""

    size: int  # GiB
    id: str = "vol-ffffffff"


def create(backend: EC2Backend, size: int, description: str, kms_key_arn: str | None = None) -> Snapshot:
    """A snapshot of `size` GiB that stays pending until `begin` is called for it."""
    snapshot = Snapshot(backend, random_snapshot_id(), NoVolume(size), description, kms_key_id=kms_key_arn)
    snapshot.status = "pending"
    backend.snapshots[snapshot.id] = snapshot
    return snapshot


def begin(snapshot: Snapshot, outcome: str = "completed", copied: bool = False) -> None:
    """Start the snapshot's way to the state `outcome`; each DescribeSnapshots brings it one step nearer."""
    WORLD.pending[snapshot.id] = Pending(WORLD.settings.pending_reads, outcome, copied)


def pass_time(resource_id: str) -> str | None:
    """Count an answer about a resource; returns its outcome if it has been pending long enough."""
    pending = WORLD.pending.get(resource_id)
    if pending is None:
        return None
    pending.reads_left -= 1
    if pending.reads_left >= 0:
        return None
    return WORLD.pending.pop(resource_id).outcome


def check_completed(snapshot: Snapshot) -> None:
    if snapshot.status != "completed":
        raise EC2ClientError("IncorrectState", f"Snapshot '{snapshot.id}' is not 'completed'.")


def visible_snapshots(backend: EC2Backend) -> dict[str, Snapshot]:
    """By ID: the account's own snapshots, and those that other accounts share with it."""
    account = backend.account_id
    shared = {
        snapshot.id: seen_by(backend, snapshot)
        for neighbour in same_region(backend)
        for snapshot in neighbour.snapshots.values()
        if account in snapshot.create_volume_permission_userids or "all" in snapshot.create_volume_permission_groups
    }
    return shared | backend.snapshots


def same_region(backend: EC2Backend) -> list[EC2Backend]:
    """The backends of this region in every other account."""
    backends = [regions.get(backend.region_name) for regions in ec2_backends.values()]
    return [candidate for candidate in backends if candidate and candidate is not backend]


def seen_by(backend: EC2Backend, resource: Resource) -> Resource:
    """Another account's resource as this account sees it: tags are per account and never shared."""
    view = copy.copy(resource)
    view.ec2_backend = backend
    return view


def describe_snapshots(self: ElasticBlockStore) -> ActionResult:
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    ids = self._get_param("SnapshotIds", [])
    owners = {backend.account_id if owner == "self" else owner for owner in self._get_param("OwnerIds", [])}
    filters = self._filters_from_querystring()
    statuses = filters.pop("status", None)
    visible = visible_snapshots(backend)
    if not set(ids) <= visible.keys():
        raise InvalidSnapshotIdError()
    matches = [visible[snapshot_id] for snapshot_id in ids or visible]
    matches = [snapshot for snapshot in generic_filter(filters, matches) if not owners or snapshot.owner_id in owners]
    for snapshot in matches:
        if snapshot.id in backend.snapshots:
            snapshot.status = pass_time(snapshot.id) or snapshot.status
    return ActionResult(
        {"Snapshots": [snapshot for snapshot in matches if not statuses or snapshot.status in statuses]}
    )


def modify_snapshot_attribute(self: ElasticBlockStore) -> ActionResult:
    """Handle both forms of the request; moto silently ignores CreateVolumePermission."""
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    snapshot = backend.get_snapshot(self._get_param("SnapshotId"))
    permission = self._get_param("CreateVolumePermission", {})
    changes = {"add": list(permission.get("Add", [])), "remove": list(permission.get("Remove", []))}
    users = [{"UserId": user} for user in self._get_param("UserIds", [])]
    groups = [{"Group": group} for group in self._get_param("GroupNames", [])]
    changes[self._get_param("OperationType", "add")] += users + groups
    sharing.refuse_public(self, "snapshot", [entry for entry in changes["add"] if "Group" in entry])
    if changes["add"] and under_default_key(backend, snapshot):
        raise EC2ClientError("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
    for change, method in (
        ("add", backend.add_create_volume_permission),
        ("remove", backend.remove_create_volume_permission),
    ):
        to_users = [entry["UserId"] for entry in changes[change] if "UserId" in entry]
        to_groups = [entry["Group"] for entry in changes[change] if "Group" in entry]
        method(snapshot.id, user_ids=to_users, groups=to_groups)
    return EmptyResult()


def under_default_key(backend: EC2Backend, snapshot: Snapshot) -> bool:
    """Whether the key is `alias/aws/ebs`, which no other account may use."""
    return bool(snapshot.encrypted and snapshot.kms_key_id == backend.default_kms_key_id)


def delete_snapshot(self: ElasticBlockStore) -> ActionResult:
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    snapshot_id = self._get_param("SnapshotId")
    if user := next(images_on(backend, snapshot_id), None):
        raise InvalidSnapshotInUse(snapshot_id, user.id)
    remove(backend, snapshot_id)
    return EmptyResult()


def remove(backend: EC2Backend, snapshot_id: str) -> None:
    """Delete a snapshot; its blocks stay with it if it goes to the Recycle Bin."""
    snapshot = backend.delete_snapshot(snapshot_id)
    WORLD.pending.pop(snapshot_id, None)
    if snapshot.status != "completed" or not retention.retain(backend, retention.SNAPSHOT, snapshot):
        WORLD.disks.pop(snapshot_id, None)


def images_on(backend: EC2Backend, snapshot_id: str) -> Iterator[Ami]:
    """The images of this account and region that a snapshot backs."""
    return (
        image
        for image in backend.amis.values()
        for device in image.block_device_mappings
        if device.get("Ebs", {}).get("SnapshotId") == snapshot_id
    )


HANDLERS = (describe_snapshots, modify_snapshot_attribute, delete_snapshot)
