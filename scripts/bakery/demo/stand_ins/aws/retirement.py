"""The end of an image: deprecated, disabled, protected, deregistered with its snapshots.

Sources: the EC2 API reference, pages EnableImageDeprecation, DisableImageDeprecation, DisableImage, EnableImage,
EnableImageDeregistrationProtection, DisableImageDeregistrationProtection and DeregisterImage; the EC2 user guide,
"Disable an AMI". Moto has the state of a disabled image only.
"""

from datetime import datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.responses.amis import AmisResponse

from bakery.demo.stand_ins.aws import images, permissions, retention, snapshots
from bakery.demo.stand_ins.aws.world import WORLD

# API reference, EnableImageDeprecation: from now; a public image from its creation.
LONGEST = timedelta(days=3653)
LONGEST_PUBLIC = timedelta(days=731)
COOLDOWN = timedelta(hours=24)  # API reference, EnableImageDeregistrationProtection


def enable_image_deprecation(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    image, now = images.own_image(self), WORLD.now()
    at = images.utc(self._get_param("DeprecateAt"))
    latest = images.utc(image.creation_date) + LONGEST_PUBLIC if image.is_public else now + LONGEST
    if not now <= at <= latest:
        message = f"The deprecation time {at.isoformat()} is in the past or after {latest.isoformat()}"
        raise EC2ClientError("InvalidParameterValue", message)
    vars(image)["deprecation_time"] = images.timestamp(_whole_minute(at))
    return ActionResult({"Return": True})


def _whole_minute(at: datetime) -> datetime:
    """The nearest minute."""
    return (at + timedelta(seconds=30)).replace(second=0, microsecond=0)


def disable_image_deprecation(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    vars(images.own_image(self)).pop("deprecation_time", None)
    return ActionResult({"Return": True})


def disable_image(self: AmisResponse) -> ActionResult:
    """The shares go, and do not come back by enabling the image."""
    self.error_on_dryrun()
    image = images.own_image(self)
    if image.state != "disabled":
        images.check_available(image)
    image.state = "disabled"
    image.launch_permissions.clear()
    return ActionResult({"Return": True})


def enable_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    image = images.own_image(self)
    if image.state == "disabled":
        image.state = "available"
    images.check_available(image)
    return ActionResult({"Return": True})


def enable_image_deregistration_protection(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    cooldown = self._get_param("WithCooldown", False)
    state = images.PROTECTED_WITH_COOLDOWN if cooldown else images.PROTECTED
    vars(images.own_image(self))["deregistration_protection"] = state
    return ActionResult({"Return": "true"})


def disable_image_deregistration_protection(self: AmisResponse) -> ActionResult:
    """An image with a cooldown stays protected for a day; doing it again does not start another day."""
    self.error_on_dryrun()
    image = images.own_image(self)
    state = images.protection_state(image)
    if state == images.PROTECTED_WITH_COOLDOWN:
        state = images.COOLING + images.timestamp(WORLD.now() + COOLDOWN)
    elif state == images.PROTECTED:
        state = images.UNPROTECTED
    vars(image)["deregistration_protection"] = state
    return ActionResult({"Return": "true"})


def deregister_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    image = images.own_image(self)
    if (protection := images.protection_state(image)) != images.UNPROTECTED:
        message = f"The AMI {image.id} cannot be deregistered: its deregistration protection is {protection}"
        raise EC2ClientError("OperationNotPermitted", message)
    backend.deregister_image(image.id)
    if image.state in ("available", "disabled"):
        retention.retain(backend, retention.IMAGE, image)
    WORLD.pending.pop(image.id, None)
    return ActionResult({"Return": True, "DeleteSnapshotResults": _delete_snapshots(self, image)})


def _delete_snapshots(self: AmisResponse, image: Ami) -> list[dict[str, Any]]:
    """Delete the snapshots that no other image uses, if the call asks for it; the result for each."""
    if not self._get_param("DeleteAssociatedSnapshots", False):
        return []
    return [
        {"SnapshotId": snapshot.id, "ReturnCode": _delete_snapshot(self, snapshot.id)}
        for snapshot in images.image_snapshots(self, image)
    ]


def _delete_snapshot(self: AmisResponse, snapshot_id: str) -> str:
    """The code of the result."""
    if next(snapshots.images_on(self.ec2_backend, snapshot_id), None):
        return "skipped"
    need = permissions.snapshot_need(self.ec2_backend, "ec2:DeleteSnapshot", snapshot_id)
    if not permissions.may(self, need.action, need.arn, dict(need.keys)):
        return "missing-permissions"
    snapshots.remove(self.ec2_backend, snapshot_id)
    return "success"


HANDLERS = (
    enable_image_deprecation,
    disable_image_deprecation,
    disable_image,
    enable_image,
    enable_image_deregistration_protection,
    disable_image_deregistration_protection,
    deregister_image,
)
