"""The settings of Azure in a definition: `base.azure` and `distribution.azure`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.clouds.tag_limits import check_tags
from bakery.model.access import AddressBlock
from bakery.model.bases import QEMU, CloudBase, require_one
from bakery.model.definition import ImageDefinition
from bakery.model.distribution import CloudDistribution
from bakery.model.fields import Name, TextFormat, VaultPath
from bakery.model.validation import Model, field_error

Uuid = Annotated[
    str,
    TextFormat(
        r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "an ID in lower-case hexadecimal digits",
        "11111111-2222-3333-4444-555555555555",
    ),
]
Location = Annotated[str, TextFormat(r"^[a-z]+[a-z0-9]*$", "an Azure region as ARM writes it", "westeurope")]
# Names that ARM accepts: "Naming rules and restrictions for Azure resources".
ResourceGroup = Annotated[
    str,
    TextFormat(
        r"^[\w().-]{0,89}[\w()-]$", "1 to 90 letters, digits and any of _().-, with no dot at its end", "bakery-images"
    ),
]
Gallery = Annotated[
    str,
    TextFormat(
        r"^[A-Za-z0-9][A-Za-z0-9._]{0,78}[A-Za-z0-9]$",
        "2 to 80 letters, digits, dots and underscores, a letter or digit at both ends",
        "images",
    ),
]
StorageAccount = Annotated[
    str, TextFormat(r"^[a-z0-9]{3,24}$", "3 to 24 lower-case letters and digits", "exampleimages")
]

VirtualNetwork = Annotated[
    str,
    TextFormat(
        r"^[A-Za-z0-9][\w.-]{0,62}\w$",
        "2 to 64 letters, digits and any of _.-, a letter or digit first, no dot or hyphen last",
        "builds",
    ),
]

Urn = Annotated[
    str,
    TextFormat(
        r"^[^:\s]+:[^:\s]+:[^:\s]+:[^:\s]+$",
        "PUBLISHER:OFFER:SKU:VERSION of a marketplace image",
        "Debian:debian-13:13-gen2:latest",
    ),
]
# Azure, "Tag support for resources" and its limits.
LONGEST_KEY = 512
NO_KEY_HAS = "<>%&\\?/"

LATEST = "latest"  # the version that Azure replaces by the newest


def _find_key_fault(key: str) -> str:
    if 1 <= len(key) <= LONGEST_KEY and set(key).isdisjoint(NO_KEY_HAS):
        return ""
    return f"Azure takes a key of 1 to {LONGEST_KEY} characters without any of {NO_KEY_HAS}"


class AzureNetwork(Model):
    """The virtual network of a build, whose own rules say who may log in."""

    virtual_network: VirtualNetwork
    resource_group: ResourceGroup = Field(description="resource group of the virtual network")
    subnet: VirtualNetwork
    public_address: bool = Field(default=False, description="whether the machine gets a public address as well")


class AzureBase(CloudBase):
    """Has Packer build in Azure (azure-arm) instead of publishing the QEMU disk: exactly one of image and urn."""

    image: Name | None = Field(
        default=None, description="another image of this project: its newest complete version there"
    )
    urn: Urn | None = Field(
        default=None, description="marketplace image, PUBLISHER:OFFER:SKU:VERSION; latest stands for the newest"
    )
    vm_size: str = Field(default="Standard_D2s_v5", description="size of the build's virtual machine")
    network: AzureNetwork | None = Field(default=None, description="virtual network of the build; or set access_from")
    access_from: tuple[AddressBlock, ...] = Field(
        default=(), description="address blocks that may log in to a build in a network that Packer makes"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        require_one(self, "image", "urn")
        if (self.network is None) == (not self.access_from):
            reason = "needs exactly one of network, access_from: otherwise the internet can log in to the build"
            raise field_error(reason, "add access_from: [203.0.113.7/32], the address of the machine that bakes")
        return self

    @property
    def parent(self) -> str | None:
        return self.image

    @property
    def vendor_source(self) -> str:
        return self.urn if self.urn and self.urn.endswith(f":{LATEST}") else ""


class AzureDistribution(CloudDistribution):
    """The Compute Gallery that gets the image. The version is made in the first region; the others get replicas."""

    tenant: Uuid
    subscription: Uuid
    resource_group: ResourceGroup = Field(description="resource group of the gallery and the storage account")
    gallery: Gallery = Field(description="must exist; the bakery makes image definitions in it")
    regions: Annotated[tuple[Location, ...], Field(min_length=1)]
    storage_account: StorageAccount | None = Field(
        default=None, description="in the first region: holds the QEMU disk until the gallery has it"
    )
    credentials: VaultPath = Field(description="Vault path of client_id and client_secret, such as azure/creds/bake")

    @model_validator(mode="after")
    def _unique_regions(self) -> Self:
        duplicates = [region for region in self.regions if self.regions.count(region) > 1]
        if duplicates:
            raise ValueError(f"region '{duplicates[0]}' is named twice")
        return self

    @property
    def vault_path(self) -> str | None:
        return self.credentials

    @property
    def locations(self) -> tuple[str, ...]:
        return self.regions

    @property
    def build_location(self) -> str:
        return self.regions[0]

    def check(self, definition: ImageDefinition) -> None:
        if "azure" in definition.targets:
            check_tags("Azure", definition.tags, _find_key_fault, "tags")
        if "azure" in definition.targets and definition.builder_of("azure") == QEMU and not self.storage_account:
            raise ValueError("target azure needs distribution.azure.storage_account to publish the QEMU disk")
