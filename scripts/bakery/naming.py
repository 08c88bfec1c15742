"""The names that a version has at every target. The version stands in them, so finding is by name."""

import re
from dataclasses import dataclass
from typing import Protocol, Self

from bakery.errors import BakeryError


class Versioned(Protocol):
    """Artifacts, publications and catalog records."""

    @property
    def image(self) -> str: ...

    @property
    def arch(self) -> str: ...

    @property
    def version(self) -> str: ...


# Publisher, offer and sku together name an image definition once in an Azure gallery.
GALLERY_PUBLISHER = "bakery"
BLOB_CONTAINER = "bakery"  # takes disks on their way into an Azure gallery
# What ID tokens for AWS are made out to: roles that jobs assume take no other (the stack `runner`).
AWS_AUDIENCE = "sts.amazonaws.com"


@dataclass(frozen=True)
class Named:
    """A version that nothing was made of yet."""

    image: str
    arch: str
    version: str


def full_name(of: Versioned) -> str:
    """`web-1.0.3-x86_64`: the AMI's name, the file's stem."""
    return f"{of.image}-{of.version}-{of.arch}"


def version_parameter(of: Versioned) -> str:
    """The SSM parameter that holds this version for ever."""
    return f"/bakery/{of.image}/{of.arch}/{of.version}"


def channel_parameter(of: Versioned, channel: str) -> str:
    """The SSM parameter that follows a channel."""
    return f"/bakery/{of.image}/{of.arch}/channels/{channel}"


def gallery_image(of: Versioned) -> str:
    """The image definition in an Azure Compute Gallery; its versions are called like ours."""
    return f"{of.image}-{of.arch}"


def channel_tag(channel: str) -> str:
    """The tag of an Azure image definition that follows a channel."""
    return f"bakery:channel:{channel}"


@dataclass(frozen=True)
class GalleryVersion:
    """Where a version is in Azure; `str()` gives the resource ID."""

    subscription: str
    resource_group: str
    gallery: str
    image: str
    version: str

    @classmethod
    def parse(cls, resource_id: str) -> Self:
        """The parts of a resource ID, whose keywords Azure writes in any case."""
        found = re.fullmatch(
            r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Compute"
            r"/galleries/([^/]+)/images/([^/]+)/versions/([^/]+)",
            resource_id,
            re.IGNORECASE,
        )
        if found is None:
            raise BakeryError(f"not the ID of a gallery image version: {resource_id}")
        return cls(*found.groups())

    @property
    def image_id(self) -> str:
        """The resource ID of the image definition."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}/providers/Microsoft.Compute"
            f"/galleries/{self.gallery}/images/{self.image}"
        )

    def __str__(self) -> str:
        return f"{self.image_id}/versions/{self.version}"
