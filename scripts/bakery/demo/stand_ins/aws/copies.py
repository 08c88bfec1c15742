"""CopyImage and CopySnapshot: slow, limited, checked for access and keys, with tags and blocks of their own."""

import json
import uuid
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, InvalidParameterDependency, InvalidSnapshotIdError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from bakery.demo.stand_ins.aws import snapshots
from bakery.demo.stand_ins.aws.images import TRAITS, Device, Image, begin, check_available, tags_for, visible_images
from bakery.demo.stand_ins.aws.keys import default_key_arn, key_arn
from bakery.demo.stand_ins.aws.world import WORLD, Disk, Remembered

# EC2 user guide, "AMI quotas": concurrent snapshot copies to one destination region; not adjustable.
MAX_CONCURRENT_COPIES = 20
TAGGABLE = {"image", "snapshot"}


def copy_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    token = self._get_param("ClientToken") or uuid.uuid4().hex
    key = ("CopyImage", self.current_account, self.region, token)
    request = json.dumps(self._get_params(), sort_keys=True, default=str)
    record = WORLD.tokens.get(key)
    if record is None:
        record = WORLD.tokens[key] = Remembered(request, _copy_image(self).id)
    elif record.request != request:
        message = "The client token belongs to a different request"
        raise EC2ClientError("IdempotentParameterMismatch", message)
    return ActionResult({"ImageId": record.resource_id})


def _copy_image(self: AmisResponse) -> Image:
    """Checks the whole request before it makes anything."""
    source_backend = _region_backend(self.current_account, self._get_param("SourceRegion"))
    source = _source_image(source_backend, self._get_param("SourceImageId"))
    originals = snapshots.visible_snapshots(source_backend)
    _check_encryption(self, [originals[snapshot_id] for snapshot_id in _snapshot_ids(source)])
    _check_limit(self.ec2_backend, len(_snapshot_ids(source)))
    tags = _copy_tags(self, source)
    traits = {attribute: getattr(source, attribute, default) for attribute, default in TRAITS.values()}
    traits |= {"source_image_id": source.id, "source_image_region": source_backend.region_name}
    description = self._get_param("Description") or source.description or ""
    image = Image(self.ec2_backend, self._get_param("Name"), description, [], traits)
    image.add_tags(tags)
    image.devices = [_copy_device(self, image, device, originals) for device in source.block_device_mappings]
    begin(image, WORLD.settings.image_outcome if _key_is_usable(self) else "failed")
    return image


def _region_backend(account: str, region: str) -> EC2Backend:
    try:
        return ec2_backends[account][region]
    except KeyError as error:
        raise EC2ClientError("InvalidParameterValue", f"Invalid source region {region}") from error


def _source_image(backend: EC2Backend, image_id: str) -> Ami:
    """An available image that the caller may launch, all of whose snapshots the caller may read."""
    source = visible_images(backend).get(image_id)
    if source is None:
        raise InvalidAMIIdError(image_id)
    check_available(source)
    if not set(_snapshot_ids(source)) <= snapshots.visible_snapshots(backend).keys():
        raise EC2ClientError("InvalidRequest", "You do not have permission to access the storage of this ami")
    return source


def _snapshot_ids(image: Ami) -> list[str]:
    devices = [device.get("Ebs", {}) for device in image.block_device_mappings]
    return [ebs["SnapshotId"] for ebs in devices if "SnapshotId" in ebs]


def _copy_tags(self: AmisResponse, source: Ami) -> dict[str, str]:
    """CopyImageTags copies the caller's own tags, never those that another account set on its image."""
    tags = source.get_tags() if self._get_param("CopyImageTags", False) else []
    copies = {tag["key"]: tag["value"] for tag in tags if not tag["key"].startswith("aws:")}
    return copies | tags_for(self, "image", TAGGABLE)


def _check_encryption(self: EC2BaseResponse, originals: list[Snapshot]) -> None:
    encrypted = self._get_param("Encrypted")
    if self._get_param("KmsKeyId") and not encrypted:
        raise InvalidParameterDependency("KmsKeyId", "Encrypted")
    for original in originals:
        if original.encrypted and encrypted is False:
            message = f"Snapshot {original.id} is encrypted. Creating an unencrypted copy of it is not supported."
            raise EC2ClientError("InvalidRequest", message)


def _check_limit(backend: EC2Backend, more: int) -> None:
    """Raise an error if more snapshots are being copied than AWS allows, alone or as part of an image."""
    busy = sum(pending.copied and snapshot_id in backend.snapshots for snapshot_id, pending in WORLD.pending.items())
    if busy + more > MAX_CONCURRENT_COPIES:
        message = f"Too many snapshot copies in progress. The limit is {MAX_CONCURRENT_COPIES} for this region."
        raise EC2ClientError("ResourceLimitExceeded", message)


def _key_is_usable(self: EC2BaseResponse) -> bool:
    """A key of another region is accepted at first; the copy fails later (EC2 user guide, encrypted copies)."""
    key = self._get_param("KmsKeyId")
    return not key or key_arn(self.ec2_backend, key) is not None


def _copy_device(self: AmisResponse, image: Ami, device: Device, originals: dict[str, Snapshot]) -> Device:
    """The same device on a new snapshot of this region."""
    ebs: dict[str, Any] = device.get("Ebs", {})
    if "SnapshotId" not in ebs:
        return device
    original = originals[ebs["SnapshotId"]]
    description = f"Copied for DestinationAmi {image.id} for SourceSnapshot {original.id}."
    snapshot = _new_snapshot(self, original, description, tags_for(self, "snapshot", TAGGABLE))
    return device | {"Ebs": ebs | {"SnapshotId": snapshot.id, "Encrypted": snapshot.encrypted}}


def copy_snapshot(self: ElasticBlockStore) -> ActionResult:
    self.error_on_dryrun()
    source_backend = _region_backend(self.current_account, self._get_param("SourceRegion"))
    original = snapshots.visible_snapshots(source_backend).get(self._get_param("SourceSnapshotId"))
    if original is None:
        raise InvalidSnapshotIdError()
    snapshots.check_completed(original)
    _check_encryption(self, [original])
    _check_limit(self.ec2_backend, 1)
    tags = tags_for(self, "snapshot", {"snapshot"})
    snapshot = _new_snapshot(self, original, self._get_param("Description", ""), tags)
    return ActionResult({"SnapshotId": snapshot.id, "Tags": snapshot.tag_set})


def _new_snapshot(self: EC2BaseResponse, original: Snapshot, description: str, tags: dict[str, str]) -> Snapshot:
    encrypted = original.encrypted or self._get_param("Encrypted", False)
    key = _copy_key(self) if encrypted else None
    snapshot = snapshots.create(self.ec2_backend, original.volume_size, description, key)
    snapshot.add_tags(tags)
    if disk := WORLD.disks.get(original.id):
        WORLD.disks[snapshot.id] = Disk(disk.size, disk.blocks)
    snapshots.begin(snapshot, "completed" if _key_is_usable(self) else "error", copied=True)
    return snapshot


def _copy_key(self: EC2BaseResponse) -> str:
    """The key's ARN; the request's own text if no such key exists."""
    key: str | None = self._get_param("KmsKeyId")
    if key is None:
        return default_key_arn(self.ec2_backend)
    return key_arn(self.ec2_backend, key) or key


IMAGE_HANDLERS = (copy_image,)
SNAPSHOT_HANDLERS = (copy_snapshot,)
