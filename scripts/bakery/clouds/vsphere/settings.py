"""The settings of vSphere in a definition: `base.vsphere` and `distribution.vsphere`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.host.connection_settings import find_fault
from bakery.model.bases import BUILD_LOGIN, CloudBase, require_one
from bakery.model.definition import ImageDefinition
from bakery.model.distribution import CloudDistribution
from bakery.model.documents import ImageLocation, Location
from bakery.model.fields import TextFormat, VaultPath
from bakery.model.validation import Model, field_error, first_repeated


class ServerFormat(TextFormat):
    """The form of a host that programs can connect to."""

    def check(self, text: str) -> str:
        reason, _ = find_fault(f"https://{super().check(text)}")
        if reason:
            raise field_error(reason, "write HOST or HOST:PORT")
        return text


Server = Annotated[
    str, ServerFormat(r"^[A-Za-z0-9.-]+(:[0-9]+)?$", "HOST or HOST:PORT, without https://", "vcenter.example.com")
]


class Iso(Model):
    """An installation medium and the answers for its installer."""

    path: str = Field(description="datastore path: [datastore1] iso/debian-13.iso")
    answers: str = Field(
        description="folder with the answer files, relative to the definition; the installer gets them on a CD"
    )
    label: str = Field(
        default="cidata", description="label of the CD: cidata for autoinstall, OEMDRV for kickstart, any for others"
    )
    boot_command: tuple[str, ...] = Field(default=(), description="keys to type, in Packer's notation")
    guest_os: str = Field(default="otherLinux64Guest", description="vSphere's identifier of the system")
    disk_gib: Annotated[int, Field(ge=1)] = Field(default=20, description="size of the disk to install on")


class VsphereBase(CloudBase):
    """Has Packer build in vSphere instead of publishing the QEMU disk: exactly one of template and iso."""

    template: str | None = Field(default=None, description="virtual machine or template to clone (vsphere-clone)")
    iso: Iso | None = Field(default=None, description="installation from scratch (vsphere-iso)")
    user: str = Field(
        default="root", description="user that logs in to the base; the secret build_password is its password"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        require_one(self, "template", "iso")
        return self

    @property
    def vendor_source(self) -> str:
        return self.template or ""

    @property
    def folders(self) -> dict[str, str]:
        return {"answers": self.iso.answers} if self.iso else {}

    def check(self, definition: ImageDefinition) -> None:
        """Check the needs of Packer's builders early: Packer itself would report them late."""
        settings = definition.distribution.of(VsphereDistribution)
        if settings is None:
            return
        if settings.build is None:
            raise ValueError("base.vsphere needs distribution.vsphere.build")
        if self.iso and not settings.build.network:
            raise ValueError("base.vsphere.iso needs distribution.vsphere.build.network")
        if definition.windows and BUILD_LOGIN not in definition.secrets:
            raise ValueError(f"base.vsphere of Windows needs the secret {BUILD_LOGIN}, for WinRM")


class VsphereSite(Model):
    """The location in vSphere of a machine while Packer builds it."""

    datacenter: str
    cluster: str
    datastore: str
    network: str | None = Field(default=None, description="network; without it the template's; an iso needs it")
    folder: str | None = Field(default=None, description="folder of the machine; the datacenter's root without it")


class VsphereCopy(Model):
    """A further library that gets the image, such as that of another datacenter."""

    library: str = Field(description="local content library")
    server: Server | None = Field(
        default=None, description="its vCenter, with the same login; the first one without it"
    )


class VsphereDistribution(CloudDistribution):
    """The vCenter and the content library that get the image, and further ones."""

    server: Server = Field(description="vCenter, HOST or HOST:PORT; its certificate is verified")
    library: str = Field(description="local content library; subscribed libraries follow it automatically")
    copies: tuple[VsphereCopy, ...] = Field(default=(), description="further libraries that get the image")
    build: VsphereSite | None = Field(default=None, description="where Packer builds, if base.vsphere is set")
    credentials: VaultPath = Field(description="Vault path of username and password")

    @property
    def vault_path(self) -> str | None:
        return self.credentials

    @model_validator(mode="after")
    def _unique_places(self) -> Self:
        if (index := first_repeated(self.places)) is not None:
            raise ValueError(f"library '{self.places[index].region}' of {self.places[index].account} is named twice")
        return self

    @property
    def places(self) -> tuple[Location, ...]:
        """The library in which a version is made, and then those that get copies."""
        copies = (Location(copy.server or self.server, copy.library) for copy in self.copies)
        return (Location(self.server, self.library), *copies)

    @property
    def locations(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for place in self.places for name in (place.region, place.account)))

    def wants(self, location: ImageLocation) -> bool:
        return location.location in self.places

    def check(self, definition: ImageDefinition) -> None:
        """A build has no disk here to upload elsewhere."""
        if definition.base.of(VsphereBase) and any(place.account != self.server for place in self.places):
            raise ValueError(
                "base.vsphere builds at one vCenter: distribution.vsphere.copies must not name another one"
            )

    @property
    def build_location(self) -> str:
        return self.library
