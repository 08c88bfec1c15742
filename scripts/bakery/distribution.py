"""Where images go: settings of the targets. `credentials` name a path in Vault, never a value."""

from typing import Annotated

from pydantic import Field, StringConstraints

from bakery.fields import Account, Region, VaultPath
from bakery.strict import Model

Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Location = Annotated[str, StringConstraints(pattern=r"^[a-z]+[a-z0-9]*$")]  # as ARM writes it: westeurope


class AwsDistribution(Model):
    """Where the AMI goes. The first region is where it is registered; the others get copies."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    accounts: tuple[Account, ...] = Field(default=(), description="consumer accounts that may launch it")
    consumer_role: str = Field(default="bakery-publisher", description="role assumed there to write SSM parameters")
    kms_alias: str | None = Field(default=None, description="encrypt each region's snapshot with this key alias")
    credentials: VaultPath | None = Field(
        default=None, description="Vault path of access_key and secret_key, such as aws/sts/bake; else the environment"
    )


class VsphereDistribution(Model):
    """Which vCenter, and the content library that gets the image."""

    server: str = Field(description="vCenter, HOST or HOST:PORT")
    datacenter: str
    datastore: str
    library: str = Field(description="local content library; subscribed ones follow it by themselves")
    cluster: str | None = Field(default=None, description="where Packer builds, if base.vsphere is set")
    network: str | None = Field(default=None, description="network of the build, if base.vsphere is set")
    folder: str | None = Field(default=None, description="folder of the build, if base.vsphere is set")
    credentials: VaultPath = Field(description="Vault path of username and password")


class AzureDistribution(Model):
    """The Compute Gallery that gets the image. The first region is where it is made; the others get replicas."""

    tenant: Uuid
    subscription: Uuid
    resource_group: str
    gallery: str
    regions: Annotated[tuple[Location, ...], Field(min_length=1)]
    storage_account: str | None = Field(default=None, description="gets the disk on its way into the gallery")
    credentials: VaultPath = Field(description="Vault path of client_id and client_secret, such as azure/creds/bake")


class Distribution(Model):
    """Settings per target."""

    aws: AwsDistribution | None = None
    vsphere: VsphereDistribution | None = None
    azure: AzureDistribution | None = None

    def credentials(self, target: str) -> str | None:
        """The Vault path of a target's credentials; None if it has none, such as the local target."""
        return getattr(getattr(self, target, None), "credentials", None)
