"""Finds the virtual machines and scale sets that refer to a version, in the subscription of its gallery.

A machine that was started from "latest" names the image definition, and the version in `exactVersion`
(azure-mgmt-compute, ImageReference). Machines in other subscriptions are not seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import HttpResponseError
from azure.mgmt.compute.models import ImageReference, StorageProfile, VirtualMachineScaleSet

from bakery.clouds.azure.calls import DENIED, explain_errors, status
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import AzureSession
from bakery.clouds.target import Use
from bakery.host.errors import BakeryError


def find_uses(session: AzureSession, address: GalleryVersion) -> list[Use]:
    """Every use; BakeryError that names the right if the login may not list them.

    Azure leaves out machines in resource groups that the login may not read, without a word.
    """
    return [*_list_machines(session, address), *_list_scale_sets(session, address)]


def _list_machines(session: AzureSession, address: GalleryVersion) -> Iterator[Use]:
    with _name_right("virtual machines", "virtualMachines/read", address):
        for machine in session.compute.virtual_machines.list_all():
            if _refers(_reference(machine.storage_profile), address):
                yield _new_use("virtual machine", machine.location, machine.id, address)


def _list_scale_sets(session: AzureSession, address: GalleryVersion) -> Iterator[Use]:
    with _name_right("scale sets", "virtualMachineScaleSets/read", address):
        for scale_set in session.compute.virtual_machine_scale_sets.list_all():
            profile = scale_set.virtual_machine_profile
            reference = _reference(profile.storage_profile if profile else None)
            if _refers(reference, address):
                yield _new_use("scale set", scale_set.location, scale_set.id, address)
            elif reference and _same_id(reference.id, address.image_id):  # its machines have had "latest" at some time
                yield from _list_instances(session, scale_set, address)


def _list_instances(session: AzureSession, scale_set: VirtualMachineScaleSet, address: GalleryVersion) -> Iterator[Use]:
    group = (scale_set.id or "").split("/")[4]
    with _name_right("machines of scale sets", "virtualMachineScaleSets/virtualMachines/read", address):
        for machine in session.compute.virtual_machine_scale_set_vms.list(group, scale_set.name or ""):
            if _refers(_reference(machine.storage_profile), address):
                yield _new_use("virtual machine", machine.location, machine.id, address)


def _reference(profile: StorageProfile | None) -> ImageReference | None:
    return profile.image_reference if profile else None


def _refers(reference: ImageReference | None, address: GalleryVersion) -> bool:
    if reference is None:
        return False
    is_version_of_image = _same_id(reference.id, address.image_id) and reference.exact_version == address.version
    return _same_id(reference.id, str(address)) or is_version_of_image


def _same_id(first: str | None, second: str) -> bool:
    return (first or "").lower() == second.lower()  # ARM compares IDs so


def _new_use(kind: str, location: str, resource_id: str | None, address: GalleryVersion) -> Use:
    parts = (resource_id or "").split("/")
    return Use(location, kind, f"{parts[4]}/{'/'.join(parts[8::2])}", str(address))


@contextmanager
def _name_right(things: str, action: str, address: GalleryVersion) -> Iterator[None]:
    where = f"subscription {address.subscription}"
    with explain_errors(f"list the {things}", where):
        try:
            yield
        except HttpResponseError as error:
            if status(error) not in DENIED:
                raise
            raise BakeryError(
                f"the login may not list the {things}, so it is unknown whether they use the version",
                where=where,
                detail=error.message,
                hint=f"give the application the role Reader on the subscription, for Microsoft.Compute/{action}",
            ) from error
