"""The contents of the Recycle Bin: listed and restored by EC2. Moto has no such calls.

Sources: the EC2 API reference, pages ListImagesInRecycleBin, RestoreImageFromRecycleBin, ListSnapshotsInRecycleBin and
RestoreSnapshotFromRecycleBin.
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, InvalidSnapshotIdError
from moto.ec2.models import EC2Backend
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from bakery.demo.stand_ins.aws import images, retention
from bakery.demo.stand_ins.aws.world import Retained


def list_images_in_recycle_bin(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    shown = [
        {"ImageId": name, "Name": entry.resource.name, **_view(entry)}
        for name, entry in _selected(self, retention.IMAGE, "ImageIds").items()
    ]
    return ActionResult({"Images": shown})


def list_snapshots_in_recycle_bin(self: ElasticBlockStore) -> ActionResult:
    self.error_on_dryrun()
    shown = [
        {"SnapshotId": name, "VolumeId": entry.resource.volume.id, **_view(entry)}
        for name, entry in _selected(self, retention.SNAPSHOT, "SnapshotIds").items()
    ]
    return ActionResult({"Snapshots": shown})


def _selected(self: EC2BaseResponse, kind: str, parameter: str) -> dict[str, Retained]:
    ids = self._get_param(parameter, [])
    retained = retention.list_retained(self.ec2_backend, kind)
    return {name: entry for name, entry in retained.items() if not ids or name in ids}


def _view(entry: Retained) -> dict[str, Any]:
    return {
        "Description": entry.resource.description,
        "RecycleBinEnterTime": entry.entered,
        "RecycleBinExitTime": entry.leaves,
    }


def restore_image_from_recycle_bin(self: AmisResponse) -> ActionResult:
    """The same image, private, once its snapshots are there."""
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    image_id = self._get_param("ImageId")
    entry = retention.list_retained(backend, retention.IMAGE).get(image_id)
    if entry is None:
        raise InvalidAMIIdError(image_id)
    image = entry.resource
    for device in image.block_device_mappings:
        snapshot_id = device.get("Ebs", {}).get("SnapshotId")
        if snapshot_id and snapshot_id not in backend.snapshots:
            raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    images.check_name(self, image.name)
    retention.take_back(backend, image_id)
    image.launch_permissions.clear()
    backend.amis[image_id] = image
    backend.deleted_amis.remove(image_id)
    return ActionResult({"Return": True})


def restore_snapshot_from_recycle_bin(self: ElasticBlockStore) -> ActionResult:
    """The same snapshot with its blocks, private."""
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    snapshot_id = self._get_param("SnapshotId")
    entry = retention.list_retained(backend, retention.SNAPSHOT).get(snapshot_id)
    if entry is None:
        raise InvalidSnapshotIdError()
    snapshot = entry.resource
    retention.take_back(backend, snapshot_id)
    snapshot.create_volume_permission_userids.clear()
    snapshot.create_volume_permission_groups.clear()
    backend.snapshots[snapshot_id] = snapshot
    return ActionResult(snapshot)


IMAGE_HANDLERS = (list_images_in_recycle_bin, restore_image_from_recycle_bin)
SNAPSHOT_HANDLERS = (list_snapshots_in_recycle_bin, restore_snapshot_from_recycle_bin)
