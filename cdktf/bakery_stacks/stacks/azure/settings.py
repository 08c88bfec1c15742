"""Settings of the azure stack."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bakery.clouds.azure.settings import Gallery, Location, ResourceGroup, StorageAccount, Uuid
from bakery.model.fields import Name
from bakery.model.validation import Model, field_error, first_repeated


class AzureImage(Model):
    """An image definition: the properties that all versions of an image share. It never changes."""

    name: Name = Field(description="`name` of the image's definition")
    arch: Literal["x86_64"] = Field(default="x86_64", description="architecture")
    windows: bool = Field(default=False, description="true for Windows, false for Linux")


class Azure(Model):
    """The Compute Gallery that the bakery publishes to, and the principals that may use it."""

    subscription: Uuid = Field(description="subscription of the gallery")
    tenant: Uuid = Field(description="tenant of the principals below")
    location: Location = Field(description="region of the gallery, such as westeurope; images can have more")
    resource_group: ResourceGroup = Field(description="made by the stack; has only the gallery and the account")
    gallery: Gallery = Field(description="`distribution.azure.gallery` of definitions")
    storage_account: StorageAccount = Field(description="for uploads of disks; globally unique")
    images: tuple[AzureImage, ...] = Field(default=(), description="image definitions to make")
    publishers: Annotated[tuple[Uuid, ...], Field(min_length=1)] = Field(
        description="object IDs of the service principals that publish"
    )
    readers: tuple[Uuid, ...] = Field(
        default=(), description="object IDs of groups and principals that may start machines of the images"
    )

    @model_validator(mode="after")
    def _check_duplicates(self) -> Self:
        for field in ("publishers", "readers", "images"):
            if (index := first_repeated(getattr(self, field))) is not None:
                raise field_error("this entry is listed twice", "remove it", field, index)
        for index, reader in enumerate(self.readers):
            if reader in self.publishers:
                raise field_error(
                    f"{reader} is also in publishers, which have more rights", "remove it here", "readers", index
                )
        return self
