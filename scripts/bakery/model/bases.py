"""What each builder starts from."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from bakery.model.fields import Name, Sha256, TextFormat, Url
from bakery.model.validation import Model

# The secret with which Packer logs in to a base that knows no key; templates and ansible/bake-windows.yml look it up.
BUILD_LOGIN = "build_password"


class Debootstrap(Model):
    """A Debian base made from packages, without any vendor image."""

    suite: Name = Field(description="Debian release by code name, such as bookworm")
    mirror: Url = Field(default="http://deb.debian.org/debian", description="package mirror to install from")


class QemuBase(Model):
    """What a QEMU build starts from: exactly one of image, url and debootstrap."""

    image: Name | None = Field(default=None, description="another image of ours: its newest complete version")
    url: Url | None = Field(default=None, description="a vendor's cloud image, http(s); needs sha256")
    sha256: Sha256 | None = Field(default=None, description="hex digest of the file behind url")
    debootstrap: Debootstrap | None = Field(default=None, description="a fresh Debian made from packages")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, "image", "url", "debootstrap")
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("url and sha256 belong together")
        return self


Owner = Annotated[str, TextFormat(r"^([0-9]{12}|amazon|self)$", "an AWS account, amazon or self", "136693071363")]


class AmiFilter(Model):
    """The newest AMI of an owner whose name matches."""

    name: str = Field(description="name of the AMI; * stands for anything: debian-12-amd64-*")
    owner: Owner = Field(description="account that made it, amazon or self")


class AwsBase(Model):
    """Has Packer build in AWS (amazon-ebs) instead of publishing the QEMU disk: exactly one of image and ami."""

    image: Name | None = Field(default=None, description="another image of ours: its newest complete version there")
    ami: AmiFilter | None = Field(default=None, description="somebody else's AMI")
    instance_type: str = Field(default="t3.medium", description="what the build runs on")
    user: str = Field(default="admin", description="login of the base")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, "image", "ami")
        return self


class Iso(Model):
    """An installation medium and the answers to its questions."""

    path: str = Field(description="datastore path: [datastore1] iso/debian-12.iso")
    answers: str = Field(
        description="folder with the answer files, relative to the definition; the installer finds them on a CD"
    )
    label: str = Field(
        default="cidata", description="of that CD: cidata for autoinstall, OEMDRV for kickstart, any for the others"
    )
    boot_command: tuple[str, ...] = Field(default=(), description="keys to type, in Packer's notation")
    guest_os: str = Field(default="otherLinux64Guest", description="vSphere's identifier of the system")
    disk_gib: Annotated[int, Field(ge=1)] = Field(default=20, description="size of the disk to install on")


class VsphereBase(Model):
    """Has Packer build in vSphere instead of publishing the QEMU disk: exactly one of template and iso."""

    template: str | None = Field(default=None, description="virtual machine or template to clone (vsphere-clone)")
    iso: Iso | None = Field(default=None, description="installation from scratch (vsphere-iso)")
    user: str = Field(
        default="root", description="login of the base; its password, if it needs one, is the secret build_password"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, "template", "iso")
        return self


class AzureBase(Model):
    """Has Packer build in Azure (azure-arm) instead of publishing the QEMU disk: exactly one of image and urn."""

    image: Name | None = Field(default=None, description="another image of ours: its newest complete version there")
    urn: Annotated[str, StringConstraints(pattern=r"^[^:\s]+:[^:\s]+:[^:\s]+:[^:\s]+$")] | None = Field(
        default=None, description="marketplace image, PUBLISHER:OFFER:SKU:VERSION; latest stands for the newest"
    )
    vm_size: str = Field(default="Standard_D2s_v5", description="what the build runs on")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, "image", "urn")
        return self


class Bases(Model):
    """What each builder starts from; a target without a builder of its own gets the QEMU disk."""

    qemu: QemuBase | None = None
    aws: AwsBase | None = None
    vsphere: VsphereBase | None = None
    azure: AzureBase | None = None

    @model_validator(mode="after")
    def _lineage(self) -> Self:
        if not self.builders:
            raise ValueError("needs at least one of qemu, aws, vsphere, azure")
        if len(self.images) > 1:
            raise ValueError(f"all builders start from the same image of ours, not from {', '.join(self.images)}")
        return self

    @property
    def builders(self) -> tuple[str, ...]:
        """Those that have a base, QEMU first."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def images(self) -> list[str]:
        """The images of ours that builders start from, each once."""
        given = [base.image for base in (self.qemu, self.aws, self.azure) if base and base.image]
        return list(dict.fromkeys(given))


def _exactly_one(base: Model, *names: str) -> None:
    given = [name for name in names if getattr(base, name) is not None]
    if len(given) != 1:
        raise ValueError(f"needs exactly one of {', '.join(names)}; it has {', '.join(given) or 'none'}")
