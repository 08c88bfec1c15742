"""Where images go: settings of the targets. `credentials` name a path in Vault, never a value."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.model.fields import Account, Region, TextFormat, VaultPath
from bakery.model.validation import Model

Uuid = Annotated[
    str,
    TextFormat(
        r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "an ID in lower-case hexadecimal digits",
        "11111111-2222-3333-4444-555555555555",
    ),
]
Location = Annotated[str, TextFormat(r"^[a-z]+[a-z0-9]*$", "an Azure region as ARM writes it", "westeurope")]
# What ARM accepts as names: "Naming rules and restrictions for Azure resources".
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

Server = Annotated[
    str, TextFormat(r"^[A-Za-z0-9.-]+(:[0-9]+)?$", "HOST or HOST:PORT, without https://", "vcenter.example.com")
]


class AwsDistribution(Model):
    """Where the AMI goes. The first region is where it is registered; the others get copies."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    accounts: tuple[Account, ...] = Field(default=(), description="consumer accounts that may launch it")
    consumer_role: str = Field(default="bakery-publisher", description="role assumed there to write SSM parameters")
    kms_alias: str | None = Field(default=None, description="encrypt each region's snapshot with this key alias")
    credentials: VaultPath | None = Field(
        default=None, description="Vault path of access_key and secret_key, such as aws/sts/bake; else the environment"
    )


class VsphereSite(Model):
    """Where in vSphere a machine lives while Packer builds it."""

    datacenter: str
    cluster: str
    datastore: str
    network: str | None = Field(default=None, description="else the one of the template; an iso needs it")
    folder: str | None = Field(default=None, description="else the datacenter's own")


class VsphereDistribution(Model):
    """Which vCenter, and the content library that gets the image."""

    server: Server = Field(description="vCenter, HOST or HOST:PORT; its certificate is verified")
    library: str = Field(description="local content library; subscribed ones follow it by themselves")
    build: VsphereSite | None = Field(default=None, description="where Packer builds, if base.vsphere is set")
    credentials: VaultPath = Field(description="Vault path of username and password")

    @property
    def regions(self) -> tuple[str, ...]:
        """As the places of a publication are called."""
        return (self.library,)

    @property
    def accounts(self) -> tuple[str, ...]:
        return (self.server,)


class AzureDistribution(Model):
    """The Compute Gallery that gets the image. The first region is where it is made; the others get replicas."""

    tenant: Uuid
    subscription: Uuid
    resource_group: ResourceGroup = Field(description="of the gallery and the storage account")
    gallery: Gallery = Field(description="has to exist; image definitions in it are made")
    regions: Annotated[tuple[Location, ...], Field(min_length=1)]
    storage_account: StorageAccount | None = Field(
        default=None, description="in the first region: gets the QEMU disk on its way into the gallery"
    )
    credentials: VaultPath = Field(description="Vault path of client_id and client_secret, such as azure/creds/bake")

    @model_validator(mode="after")
    def _once(self) -> Self:
        twice = [region for region in self.regions if self.regions.count(region) > 1]
        if twice:
            raise ValueError(f"region '{twice[0]}' is named twice")
        return self


class Distribution(Model):
    """Settings per target."""

    aws: AwsDistribution | None = None
    vsphere: VsphereDistribution | None = None
    azure: AzureDistribution | None = None

    def wanted(self, target: str) -> tuple[str, ...]:
        """The regions and accounts that a target brings an image to."""
        settings = getattr(self, target, None)
        return (*getattr(settings, "regions", ()), *getattr(settings, "accounts", ()))

    def credentials(self, target: str) -> str | None:
        """The Vault path of a target's credentials; None if it has none, such as the local target."""
        return getattr(getattr(self, target, None), "credentials", None)
