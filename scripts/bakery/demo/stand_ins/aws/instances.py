"""EC2 instances with an address on loopback, where a test can run a guest (`guests`), and images of instances."""

import itertools
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError
from moto.ec2.models import EC2Backend, elastic_network_interfaces
from moto.ec2.models.amis import Ami
from moto.ec2.models.instances import Instance, InstanceBackend, Reservation
from moto.ec2.responses.amis import AmisResponse
from moto.ssm.models import ssm_backends

from bakery.demo.stand_ins.aws import images, launches, snapshots
from bakery.demo.stand_ins.aws.world import WORLD, Disk

moto_add_block_device: Any = Instance.add_block_device
moto_run_instances: Any = InstanceBackend.run_instances

TAGGABLE = {"image", "snapshot"}
PARAMETER = "resolve:ssm:"

_numbers = itertools.count(1)


def loopback_address() -> str:
    """127.77.0.1, 127.77.0.2, …: Linux needs no set-up for addresses in 127/8."""
    number = next(_numbers)
    return f"127.77.{number // 250}.{number % 250 or 250}"


def replace_instances() -> None:
    """Set a loopback address: a client would try to reach the public address that moto invents."""
    elastic_network_interfaces.random_public_ip = loopback_address  # type: ignore[attr-defined]
    Instance.add_block_device = add_block_device  # type: ignore[method-assign]
    InstanceBackend.run_instances = run_instances  # type: ignore[assignment,method-assign]


def run_instances(self: EC2Backend, image_id: str | None, *arguments: Any, **keywords: Any) -> Reservation:
    """Start instances of an available image that is the account's own, public, or shared with it.

    All ways to start an instance come here: RunInstances, and groups of Auto Scaling, which may fail later.
    """
    template = keywords.get("launch_template")
    requested = image_id or (self._get_template_from_args(template).image_id if template else "")
    if requested:
        image_id = resolve_image(self, requested)
        image = images.visible_images(self).get(image_id)
        if image is None:
            raise InvalidAMIIdError(image_id)
        images.check_available(image)
    reservation: Reservation = moto_run_instances(self, image_id, *arguments, **keywords)
    if image_id:
        launches.record_start(image_id, [instance.id for instance in reservation.instances])
    return reservation


def resolve_image(backend: EC2Backend, image_id: str) -> str:
    """The image ID that a parameter holds, for `resolve:ssm:NAME`; else the same ID (reference, RunInstances)."""
    if not image_id.startswith(PARAMETER):
        return image_id
    name = image_id.removeprefix(PARAMETER)
    parameter = ssm_backends[backend.account_id][backend.region_name].get_parameter(name)
    if parameter is None:
        raise EC2ClientError("InvalidParameterValue", f"The parameter {name} does not exist")
    return str(parameter.value)


def add_block_device(
    self: Instance, size: int | None, device_path: str, snapshot_id: str | None, *arguments: Any, **keywords: Any
) -> None:
    """A mapping of an image's device changes only the fields that it has; the image has the others (EC2 user guide)."""
    if size is None and snapshot_id is None:
        image = images.visible_images(self.ec2_backend).get(self.image_id)
        devices = {device["DeviceName"]: device["Ebs"] for device in image.block_device_mappings} if image else {}
        snapshot_id = devices.get(device_path, {}).get("SnapshotId")
    moto_add_block_device(self, size, device_path, snapshot_id, *arguments, **keywords)


def create_image(self: AmisResponse) -> ActionResult:
    """An image on a new snapshot of the instance's root volume, with tags for both (model, CreateImage).

    Checks the whole request before it makes anything.
    """
    self.error_on_dryrun()
    backend: EC2Backend = self.ec2_backend
    name = images.new_name(self)
    tags = {kind: images.tags_for(self, kind, TAGGABLE) for kind in TAGGABLE}
    instance: Any = backend.get_instance(self._get_param("InstanceId"))
    root, size = _root_of(backend, instance)
    source = images.visible_images(backend).get(instance.image_id)
    traits = {attribute: getattr(source, attribute, default) for attribute, default in images.TRAITS.values()}
    image = images.Image(backend, name, self._get_param("Description", ""), [], traits)
    image.add_tags(tags["image"])
    snapshot = snapshots.create(backend, size, f"Created by CreateImage({instance.id}) for {image.id}")
    WORLD.disks[snapshot.id] = Disk(size, _root_blocks(backend, source))
    snapshot.add_tags(tags["snapshot"])
    snapshots.begin(snapshot)
    image.root_device_name = root
    ebs = {"SnapshotId": snapshot.id, "VolumeSize": size, "VolumeType": "gp2", "DeleteOnTermination": True}
    image.devices = [{"DeviceName": root, "Ebs": ebs | {"Encrypted": False}}]
    images.begin(image, WORLD.settings.image_outcome)
    return ActionResult({"ImageId": image.id})


def _root_of(backend: EC2Backend, instance: Any) -> tuple[str, int]:
    """The root device of an instance, and the GiB of its volume."""
    for device, mapping in instance.block_device_mapping.items():
        if volume := backend.volumes.get(mapping.volume_id):
            return device, volume.size
    raise EC2ClientError("IncorrectInstanceState", f"Instance {instance.id} has no root volume")


def _root_blocks(backend: EC2Backend, source: Ami | None) -> dict[int, str]:
    """The blocks that the volume of an instance began with: those of its image; none for moto's own images."""
    visible = snapshots.visible_snapshots(backend)
    devices = [device.get("Ebs", {}) for device in (source.block_device_mappings if source else ())]
    ids = [ebs["SnapshotId"] for ebs in devices if ebs.get("SnapshotId") in visible]
    disk = WORLD.disks.get(ids[0]) if ids else None
    return disk.blocks if disk else {}


HANDLERS = (create_image,)
