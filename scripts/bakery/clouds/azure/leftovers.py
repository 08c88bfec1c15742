"""All that runs of an image make in Azure: versions in the gallery, uploaded disks, and resource groups of builds.

azure-arm builds in a resource group of its own, which has the tags of the image, and ends all of it with the group.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from bakery.clouds.azure import versions
from bakery.clouds.azure.calls import explain_errors
from bakery.clouds.azure.names import BLOB_CONTAINER, GalleryVersion, gallery_image
from bakery.clouds.azure.session import AzureSession
from bakery.clouds.azure.settings import AzureDistribution
from bakery.clouds.target import Listing, Resource, ResourceKind, format_since, remove_each
from bakery.host.errors import BakeryError
from bakery.host.parallel import run_parallel
from bakery.model.version import ImageVersion

BUILD_GROUP = "pkr-Resource-Group-"  # the prefix of azure-arm's groups (plugin 1.4.0, builder/azure/arm/tempname.go)
PAUSE = 15  # seconds between two requests while Azure deletes a group, which takes minutes


def list_resources(session: AzureSession, azure: AzureDistribution, image: str, arch: str) -> Listing:
    """The resources of an image in the gallery, the storage account and the subscription."""
    address = GalleryVersion(
        azure.subscription, azure.resource_group, azure.gallery, gallery_image(ImageVersion(image, arch, "")), ""
    )
    group = f"{azure.subscription}/{azure.resource_group}"
    parts: dict[str, Callable[[], Iterator[Resource]]] = {
        f"{group}/{azure.gallery}": lambda: _list_versions(session, address, image, arch),
        azure.subscription: lambda: _list_groups(session, azure.subscription, image, arch),
    }
    if session.blobs:
        store = session.blobs
        parts[f"{group}/{azure.storage_account}"] = lambda: _list_blobs(
            store, f"{group}/{azure.storage_account}", image, arch
        )
    outcomes = run_parallel(list(parts), lambda name: list(parts[name]()), 1)
    return Listing(
        {outcome.name: outcome.result for outcome in outcomes if outcome.result is not None},
        {outcome.name: outcome.error for outcome in outcomes if outcome.error},
    )


def remove_resources(session: AzureSession, resources: Sequence[Resource]) -> dict[Resource, BakeryError]:
    """Remove resources in the order of their kinds; the errors of those that stay."""
    return remove_each(resources, lambda resource: REMOVERS[resource.kind](session, resource.id))


def _list_versions(session: AzureSession, address: GalleryVersion, image: str, arch: str) -> Iterator[Resource]:
    where = f"{address.subscription}/{address.resource_group}/{address.gallery}"
    with explain_errors("list the versions", address.image_id), suppress(ResourceNotFoundError):
        for version in session.compute.gallery_image_versions.list_by_gallery_image(
            address.resource_group, address.gallery, address.image
        ):
            profile = version.publishing_profile
            name = GalleryVersion(
                address.subscription, address.resource_group, address.gallery, address.image, str(version.name)
            )
            if _is_marked(version.tags, image, arch):
                yield Resource(
                    where, "image", str(name), name.version, format_since(profile.published_date if profile else None)
                )


def _list_groups(session: AzureSession, subscription: str, image: str, arch: str) -> Iterator[Resource]:
    """The groups of builds. Azure tells the time of what is in a group, and none of the group itself."""
    with explain_errors("list the resource groups", subscription):
        for group in session.resources.resource_groups.list():
            name = str(group.name)
            if name.startswith(BUILD_GROUP) and _is_marked(group.tags, image, arch):
                content = session.resources.resources.list_by_resource_group(name, expand="createdTime")
                times = [resource.created_time for resource in content if resource.created_time]
                version = (group.tags or {}).get("bakery:version", "")
                yield Resource(subscription, "resource group", name, version, format_since(max(times, default=None)))


def _list_blobs(blobs: BlobServiceClient, where: str, image: str, arch: str) -> Iterator[Resource]:
    """The disks that were uploaded, by the names that `blobs.name` gives them. A write makes them young again."""
    pattern = re.compile(rf"{re.escape(image)}-([0-9]+\.[0-9]+\.[0-9]+)-{re.escape(arch)}-[0-9a-f]{{16}}\.vhd")
    container = blobs.get_container_client(BLOB_CONTAINER)
    with explain_errors("list the uploaded disks", container.url), suppress(ResourceNotFoundError):
        for blob in container.list_blobs(name_starts_with=f"{image}-"):
            if match := pattern.fullmatch(blob.name):
                yield Resource(where, "upload", blob.name, match[1], format_since(blob.last_modified))


def _is_marked(tags: Mapping[str, str] | None, image: str, arch: str) -> bool:
    return {"bakery:image": image, "bakery:arch": arch}.items() <= (tags or {}).items()


def _remove_version(session: AzureSession, name: str) -> None:
    versions.remove(session, GalleryVersion.parse(name))


def _remove_group(session: AzureSession, name: str) -> None:
    with explain_errors("delete the resource group", name), suppress(ResourceNotFoundError):
        session.resources.resource_groups.begin_delete(name, polling_interval=PAUSE).result()


def _remove_blob(session: AzureSession, name: str) -> None:
    """Delete an uploaded disk; Azure refuses that while a run writes it, under its lease."""
    assert session.blobs  # it listed the blob
    blob = session.blobs.get_blob_client(BLOB_CONTAINER, name)
    with explain_errors("delete the uploaded disk", blob.url), suppress(ResourceNotFoundError):
        blob.delete_blob()


REMOVERS: Mapping[ResourceKind, Callable[[AzureSession, str], None]] = {
    "resource group": _remove_group,
    "upload": _remove_blob,
    "image": _remove_version,
}
