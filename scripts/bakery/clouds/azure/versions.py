"""Versions of an image definition: find, make, replicate, remove."""

from collections.abc import Iterable, Sequence

from azure.core.exceptions import ResourceNotFoundError
from azure.core.polling import LROPoller
from azure.mgmt.compute.models import (
    GalleryDiskImageSource,
    GalleryImageVersion,
    GalleryImageVersionProperties,
    GalleryImageVersionPublishingProfile,
    GalleryImageVersionStorageProfile,
    GalleryImageVersionUpdate,
    GalleryOSDiskImage,
    TargetRegion,
)

from bakery.clouds.azure.calls import explain_errors
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import AzureSession
from bakery.host.errors import BakeryError, ConflictError
from bakery.host.waiting import wait_until
from bakery.model.tags import SHA256, Tags

DELETED_SECONDS = 1800.0  # as long as the replicas take to go
PAUSE = 15  # seconds between two requests for the operation behind a version
STORAGE = "Standard_LRS"  # of the replicas; the cheapest for images

Operation = LROPoller[GalleryImageVersion]


def find(session: AzureSession, address: GalleryVersion) -> GalleryImageVersion | None:
    """A version with the state of its replicas, or None."""
    with explain_errors("look for the version", str(address)):
        try:
            return session.compute.gallery_image_versions.get(*_name_parts(address), expand="ReplicationStatus")
        except ResourceNotFoundError:
            return None


def create(
    session: AzureSession,
    address: GalleryVersion,
    source: GalleryDiskImageSource,
    regions: Sequence[str],
    tags: Tags,
) -> Operation:
    """Have Azure make a version of a VHD, with replicas in all regions. Answers at once.

    "Latest" does not lead to the version yet: it would in regions that still lack it.
    """
    version = GalleryImageVersion(
        location=regions[0],
        tags=tags,
        properties=GalleryImageVersionProperties(
            storage_profile=GalleryImageVersionStorageProfile(os_disk_image=GalleryOSDiskImage(source=source)),
            publishing_profile=GalleryImageVersionPublishingProfile(
                target_regions=_target_regions(regions), exclude_from_latest=True
            ),
        ),
    )
    with explain_errors("make the version", str(address)):
        return session.compute.gallery_image_versions.begin_create_or_update(
            *_name_parts(address), version, polling_interval=PAUSE
        )


def extend(
    session: AzureSession, address: GalleryVersion, version: GalleryImageVersion, regions: Sequence[str]
) -> Operation:
    """Have Azure make replicas in all of `regions`; existing ones stay, and failed ones are tried again."""
    profile = version.publishing_profile
    update = GalleryImageVersionUpdate(
        properties=GalleryImageVersionProperties(
            storage_profile=version.storage_profile,
            publishing_profile=GalleryImageVersionPublishingProfile(
                target_regions=_target_regions(regions),
                exclude_from_latest=profile.exclude_from_latest if profile else None,
                end_of_life_date=profile.end_of_life_date if profile else None,
            ),
        )
    )
    with explain_errors("replicate the version", str(address)):
        return session.compute.gallery_image_versions.begin_update(
            *_name_parts(address), update, polling_interval=PAUSE
        )


def replace(session: AzureSession, address: GalleryVersion, version: GalleryImageVersion) -> None:
    """Write a version with changed properties, as the Azure CLI updates one, and wait until Azure has done it."""
    with explain_errors("change the version", str(address)):
        session.compute.gallery_image_versions.begin_create_or_update(
            *_name_parts(address), version, polling_interval=PAUSE
        ).result()


def remove(session: AzureSession, address: GalleryVersion) -> None:
    """Delete a version and wait until it is gone; no error if it is absent."""
    with explain_errors("delete the version", str(address)):
        try:
            session.compute.gallery_image_versions.begin_delete(*_name_parts(address), polling=False)
        except ResourceNotFoundError:
            return
    await_gone(session, address)


def remove_unfinished(session: AzureSession, address: GalleryVersion, name: str) -> None:
    """Delete a version that Packer made under `name` and no run adopted; ConflictError for any other one."""
    version = find(session, address)
    if version is None:
        return
    actual = version.tags or {}
    if SHA256 in actual or actual.get("Name") != name:
        raise ConflictError(
            f"version {address.version} of {address.image} exists, but no unfinished build made it",
            where=str(address),
            hint="remove it if it is unused, or bake a new version",
        )
    remove(session, address)


def await_gone(session: AzureSession, address: GalleryVersion) -> None:
    """Return when a version that is being deleted does not exist any more."""
    if wait_until(lambda: None if find(session, address) else True, DELETED_SECONDS) is None:
        raise BakeryError(
            f"the version is still there after {DELETED_SECONDS / 60:.0f} min",
            where=str(address),
            hint="run again to continue waiting",
        )


def refuse_foreign(
    address: GalleryVersion, version: GalleryImageVersion, sha256: str, made_by_packer: str = ""
) -> None:
    """Raise ConflictError unless the version's tags name this content: a version never changes.

    A version without a digest is accepted if it has the name that Packer got, `made_by_packer`.
    """
    actual = version.tags or {}
    tag = actual.get(SHA256)
    if tag == sha256 or (tag is None and made_by_packer and actual.get("Name") == made_by_packer):
        return
    raise ConflictError(
        f"version {address.version} of {address.image} exists, but was not made from this disk",
        where=str(address),
        detail=f"{SHA256} is {tag or 'not set'}, expected {sha256}",
        hint="remove it if it is unused, or bake a new version",
    )


def _target_regions(regions: Iterable[str]) -> list[TargetRegion]:
    return [TargetRegion(name=region, regional_replica_count=1, storage_account_type=STORAGE) for region in regions]


def _name_parts(address: GalleryVersion) -> tuple[str, str, str, str]:
    return address.resource_group, address.gallery, address.image, address.version
