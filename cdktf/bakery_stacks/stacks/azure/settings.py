"""Settings of the azure stack."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bakery.clouds.azure.settings import Gallery, Location, ResourceGroup, StorageAccount, Uuid
from bakery.model.fields import Name
from bakery.model.validation import Model, field_error, repeated


class AzureImage(Model):
    """An image definition: the properties that all versions of an image share. It never changes."""

    name: Name = Field(description="`name` of the image's definition")
    arch: Literal["x86_64"] = Field(default="x86_64", description="architecture")
    windows: bool = Field(default=False, description="Windows, not Linux")


class Azure(Model):
    """The Compute Gallery that the bakery publishes to, and who may use it."""

    subscription: Uuid = Field(description="of the gallery")
    tenant: Uuid = Field(description="of the principals below")
    location: Location = Field(description="where the gallery is, such as westeurope; images go to more")
    resource_group: ResourceGroup = Field(description="made by the stack; holds gallery and account alone")
    gallery: Gallery = Field(description="`distribution.azure.gallery` of definitions")
    storage_account: StorageAccount = Field(description="takes disks on their way; unique in the world")
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
            if (index := repeated(getattr(self, field))) is not None:
                raise field_error("this entry is there twice", "remove it", field, index)
        for index, reader in enumerate(self.readers):
            if reader in self.publishers:
                raise field_error(f"{reader} is among publishers, who may do more", "remove it here", "readers", index)
        return self
