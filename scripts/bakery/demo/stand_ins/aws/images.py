"""EC2 images: unique names, real devices and tags, pending at first, visible to the accounts they are shared with."""

import copy
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, MalformedAMIIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import generic_filter, random_ami_id

from bakery.demo.stand_ins.aws import launches, sharing, snapshots
from bakery.demo.stand_ins.aws.world import WORLD, Pending

# RegisterImage, parameter Name, in the EC2 API model.
NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
# Traits that RegisterImage stores and CopyImage carries over; the defaults are those of the EC2 API model.
TRAITS = {
    "Architecture": ("architecture", "i386"),
    "VirtualizationType": ("virtualization_type", "paravirtual"),
    "RootDeviceName": ("root_device_name", None),
    "BootMode": ("boot_mode", None),
    "EnaSupport": ("ena_support", None),
    "ImdsSupport": ("imds_support", None),
    "TpmSupport": ("tpm_support", None),
}
# DescribeImages filters that moto does not know, and the attribute they look at.
SOURCE_FILTERS = {"source-image-id": "source_image_id", "source-image-region": "source_image_region"}

Device = dict[str, Any]
moto_modify_image_attribute = AmisResponse.modify_image_attribute
moto_describe_image_attribute = AmisResponse.describe_image_attribute

# What DescribeImages shows as DeregistrationProtection (EC2 user guide; for the cooldown, ekristen/aws-nuke,
# resources/ec2-image.go).
UNPROTECTED = "disabled"
PROTECTED = "enabled-without-cooldown"
PROTECTED_WITH_COOLDOWN = "enabled-with-cooldown"
COOLING = "disabled after "


class Image(Ami):
    """An AMI with the requested devices and attributes; moto's own has an invented 15 GiB snapshot instead."""

    def __init__(
        self, backend: EC2Backend, name: str, description: str, devices: list[Device], traits: Mapping[str, Any]
    ) -> None:
        location = f"{backend.account_id}/{name}"
        super().__init__(
            backend, random_ami_id(), name=name, description=description, image_location=location, state="pending"
        )
        del backend.snapshots[self.ebs_snapshot.id]
        self.root_device_type = "ebs"
        self.devices = devices
        vars(self).update(traits)
        backend.amis[self.id] = self

    @property
    def block_device_mappings(self) -> list[Device]:
        return self.devices


def register_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    name = new_name(self)
    tags = tags_for(self, "image", allowed={"image"})
    traits = {attribute: self._get_param(key, default) for key, (attribute, default) in TRAITS.items()}
    devices = _read_devices(self, traits["root_device_name"])
    image = Image(backend, name, self._get_param("Description", ""), devices, traits)
    image.add_tags(tags)
    begin(image, WORLD.settings.image_outcome)
    return ActionResult({"ImageId": image.id})


def begin(image: Ami, outcome: str) -> None:
    """Start the image's way to the state `outcome`; each DescribeImages brings it one step nearer."""
    WORLD.pending[image.id] = Pending(WORLD.settings.pending_reads, outcome)


def new_name(self: AmisResponse) -> str:
    """The name in a request; an error if an image of this account and region has it."""
    name: str = self._get_param("Name")
    if not NAME.fullmatch(name):
        raise EC2ClientError("InvalidAMIName.Malformed", f"AMI name {name!r} does not fit {NAME.pattern}")
    check_name(self, name)
    return name


def check_name(self: AmisResponse, name: str) -> None:
    """Raise an error if an image of this account and region has the name."""
    for image in self.ec2_backend.amis.values():
        if image.name == name and image.owner_id == self.current_account:
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")


def tags_for(self: EC2BaseResponse, kind: str, allowed: set[str]) -> dict[str, str]:
    """The tags that TagSpecifications hold for one kind of resource; kinds that are not allowed fail the call."""
    specifications = self._get_param("TagSpecifications", [])
    for specification in specifications:
        if specification["ResourceType"] not in allowed:
            message = f"'{specification['ResourceType']}' is not a valid taggable resource type for this operation."
            raise EC2ClientError("InvalidParameterValue", message)
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in specifications
        if specification["ResourceType"] == kind
        for tag in specification["Tags"]
    }


def _read_devices(self: AmisResponse, root: str | None) -> list[Device]:
    """The block device mappings, completed from their snapshots."""
    mappings = self._get_param("BlockDeviceMappings", [])
    devices = [_fill_device(self.ec2_backend, dict(mapping)) for mapping in mappings]
    if not any(device["DeviceName"] == root and device.get("Ebs", {}).get("SnapshotId") for device in devices):
        raise EC2ClientError("InvalidBlockDeviceMapping", f"No snapshot is mapped to the root device {root}")
    return devices


def _fill_device(backend: EC2Backend, mapping: Device) -> Device:
    ebs = dict(mapping.get("Ebs") or {})
    snapshot_id = ebs.get("SnapshotId")
    if not snapshot_id:
        return mapping
    snapshot = backend.snapshots.get(snapshot_id)
    if snapshot is None:
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    snapshots.check_completed(snapshot)
    if "Encrypted" in ebs:
        message = f"the encrypted flag cannot be specified since device {mapping['DeviceName']} has a snapshot"
        raise EC2ClientError("InvalidBlockDeviceMapping", message)
    if ebs.get("VolumeSize", snapshot.volume_size) < snapshot.volume_size:
        message = f"Volume of {ebs['VolumeSize']}GiB is smaller than snapshot '{snapshot_id}'"
        raise EC2ClientError("InvalidBlockDeviceMapping", message)
    defaults = {"VolumeSize": snapshot.volume_size, "VolumeType": "gp2", "DeleteOnTermination": True}
    return mapping | {"Ebs": defaults | ebs | {"Encrypted": snapshot.encrypted}}


def visible_images(backend: EC2Backend) -> dict[str, Ami]:
    """By ID: the caller's own images, those of the region's public list, and those that other accounts share."""
    permission = {"UserId": backend.account_id}
    shared = {
        image.id: snapshots.seen_by(backend, image)
        for neighbour in snapshots.same_region(backend)
        for image in neighbour.amis.values()
        if image.owner_id == neighbour.account_id and (permission in image.launch_permissions or image.is_public)
    }
    return shared | backend.amis


def describe_images(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    filters: dict[str, Any] = self._filters_from_querystring()
    states = filters.pop("state", None)
    if "disabled" in (states or ()) and not self._get_param("IncludeDisabled", False):
        message = "When filtering by the 'disabled' state, 'IncludeDisabled' must be set to 'true' in the request."
        raise EC2ClientError("InvalidParameter", message)
    matches = [image for image in _selected_images(self, backend) if _filters_match(image, filters)]
    for image in matches:
        if image.id in backend.amis:
            _advance_image(self, image)
    return ActionResult({"Images": [_image_view(image) for image in matches if not states or image.state in states]})


def _image_view(image: Ami) -> Ami:
    """A pending image does not name its snapshots yet (bottlerocket-os/bottlerocket, pull request 1066)."""
    view = copy.copy(image)
    vars(view)["deregistration_protection"] = protection_state(image)
    launched = launches.last_launched(image.id)
    vars(view)["last_launched_time"] = launched and timestamp(launched)
    if image.state == "pending" and isinstance(view, Image):
        view.devices = [_without_snapshot(device) for device in view.devices]
    return view


def _without_snapshot(device: Device) -> Device:
    ebs = {key: value for key, value in device.get("Ebs", {}).items() if key != "SnapshotId"}
    return device | ({"Ebs": ebs} if ebs else {})


def _selected_images(self: AmisResponse, backend: EC2Backend) -> Iterator[Ami]:
    """The visible images that ImageIds, Owners and ExecutableUsers leave."""
    visible = visible_images(backend)
    ids = self._get_param("ImageIds", [])
    if malformed := [image_id for image_id in ids if not image_id.startswith("ami-")]:
        raise MalformedAMIIdError(malformed)
    if missing := [image_id for image_id in ids if image_id not in visible and image_id not in backend.deleted_amis]:
        raise InvalidAMIIdError(missing)
    owners = _account_ids(self, "Owners")
    users = _account_ids(self, "ExecutableUsers")
    for image in visible.values():
        launchers = {permission.get("UserId", permission.get("Group")) for permission in image.launch_permissions}
        if (
            (not ids or image.id in ids)
            and (not owners or image.owner_id in owners or image.owner_alias in owners)
            and (not users or users & launchers)
            and _is_shown(self, image, image.id in ids)
        ):
            yield image


def _is_shown(self: AmisResponse, image: Ami, named: bool) -> bool:
    """Whether DescribeImages shows it without asking: disabled ones never, deprecated ones to owners or by ID."""
    if image.state == "disabled" and not self._get_param("IncludeDisabled", False):
        return False
    owned = image.owner_id == self.current_account
    return owned or named or not is_deprecated(image) or self._get_param("IncludeDeprecated", False)


def is_deprecated(image: Ami) -> bool:
    at: str | None = getattr(image, "deprecation_time", None)
    return at is not None and datetime.fromisoformat(at) <= WORLD.now()


def protection_state(image: Ami) -> str:
    """Whether an image is protected from deregistration now, in the words of DescribeImages."""
    state: str = getattr(image, "deregistration_protection", UNPROTECTED)
    if state.startswith(COOLING) and datetime.fromisoformat(state.removeprefix(COOLING)) <= WORLD.now():
        return UNPROTECTED
    return state


def timestamp(at: datetime) -> str:
    """A time as EC2 writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(at: datetime) -> datetime:
    """The same time with its zone; moto leaves it out."""
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _account_ids(self: AmisResponse, parameter: str) -> set[str]:
    return {self.current_account if account == "self" else account for account in self._get_param(parameter, [])}


def _filters_match(image: Ami, filters: dict[str, Any]) -> bool:
    moto_filters = {name: values for name, values in filters.items() if name not in SOURCE_FILTERS}
    for name in SOURCE_FILTERS.keys() & filters.keys():
        if getattr(image, SOURCE_FILTERS[name], None) not in filters[name]:
            return False
    return bool(generic_filter(moto_filters, [image]))


def _advance_image(self: AmisResponse, image: Ami) -> None:
    outcome = snapshots.pass_time(image.id)
    if outcome is None:
        return
    image.state = outcome
    for snapshot in image_snapshots(self, image):
        if snapshot.status == "pending":
            snapshot.status = "completed" if outcome == "available" else "error"
            WORLD.pending.pop(snapshot.id, None)


def own_image(self: AmisResponse) -> Ami:
    """The image of this account that ImageId names."""
    image_id = self._get_param("ImageId")
    image = self.ec2_backend.amis.get(image_id)
    if image is None or image.owner_id != self.current_account:
        raise InvalidAMIIdError(image_id)
    return image  # type: ignore[no-any-return]


def check_available(image: Ami) -> None:
    if image.state != "available":
        message = f"The AMI ID '{image.id}' is currently {image.state} and may not be used for this operation"
        raise EC2ClientError("InvalidAMIID.Unavailable", message)


def modify_image_attribute(self: AmisResponse) -> ActionResult:
    image = own_image(self)
    check_available(image)
    adds = self._get_param("LaunchPermission", {}).get("Add") or self._get_param("OperationType") == "add"
    public = [entry for entry in self._get_param("LaunchPermission", {}).get("Add", ()) if "Group" in entry]
    sharing.refuse_public(self, "image", public or (adds and self._get_param("UserGroups")))
    if adds and any(
        snapshots.under_default_key(self.ec2_backend, snapshot) for snapshot in image_snapshots(self, image)
    ):
        raise EC2ClientError("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared.")
    return moto_modify_image_attribute(self)


def image_snapshots(self: AmisResponse, image: Ami) -> list[Snapshot]:
    """The snapshots of an own image, as far as they exist."""
    ids = [device.get("Ebs", {}).get("SnapshotId") for device in image.block_device_mappings]
    return [self.ec2_backend.snapshots[snapshot_id] for snapshot_id in ids if snapshot_id in self.ec2_backend.snapshots]


def describe_image_attribute(self: AmisResponse) -> ActionResult:
    image = own_image(self)
    match self._get_param("Attribute"):
        case "deregistrationProtection":
            return ActionResult({"ImageId": image.id, "DeregistrationProtection": {"Value": protection_state(image)}})
        case "lastLaunchedTime":
            launched = launches.last_launched(image.id)
            value = {"Value": timestamp(launched)} if launched else {}
            return ActionResult({"ImageId": image.id, "LastLaunchedTime": value})
        case _:
            return moto_describe_image_attribute(self)


HANDLERS = (
    register_image,
    describe_images,
    modify_image_attribute,
    describe_image_attribute,
)
