"""The names of a version in an Azure Compute Gallery, and its resource ID."""

import re
from dataclasses import dataclass
from typing import Self

from bakery.host.errors import BakeryError
from bakery.model.version import Versioned

# Publisher, offer and sku together name an image definition once in a gallery.
GALLERY_PUBLISHER = "bakery"
BLOB_CONTAINER = "bakery"  # takes disks on their way into a gallery


def gallery_image(of: Versioned) -> str:
    """The image definition in an Azure Compute Gallery; its versions have the bakery's numbers."""
    return f"{of.image}-{of.arch}"


def channel_tag(channel: str) -> str:
    """The tag of an Azure image definition that follows a channel."""
    return f"bakery:channel:{channel}"


@dataclass(frozen=True)
class GalleryVersion:
    """The address of a version in Azure; `str()` gives the resource ID."""

    subscription: str
    resource_group: str
    gallery: str
    image: str
    version: str

    @classmethod
    def parse(cls, resource_id: str) -> Self:
        """The parts of a resource ID, whose keywords Azure writes in any case."""
        match = re.fullmatch(
            r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Compute"
            r"/galleries/([^/]+)/images/([^/]+)/versions/([^/]+)",
            resource_id,
            re.IGNORECASE,
        )
        if match is None:
            raise BakeryError(f"not the ID of a gallery image version: {resource_id}")
        return cls(*match.groups())

    @property
    def image_id(self) -> str:
        """The resource ID of the image definition."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}/providers/Microsoft.Compute"
            f"/galleries/{self.gallery}/images/{self.image}"
        )

    def __str__(self) -> str:
        return f"{self.image_id}/versions/{self.version}"
