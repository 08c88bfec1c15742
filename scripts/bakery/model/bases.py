"""The bases of the builders. The folders of `clouds` add theirs to QEMU's."""

from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import Field, model_validator

from bakery.model.fields import HttpsUrl, Name, Sha256, Url
from bakery.model.validation import Model

if TYPE_CHECKING:
    from bakery.model.definition import ImageDefinition

QEMU = "qemu"  # the builder that makes a disk here; every other builder has the name of its target

# The secret with which Packer logs in to a base without an SSH key; templates and bake-windows.yml read it.
BUILD_LOGIN = "build_password"


class CloudBase(Model):
    """The base of one builder: the properties that the bases of all builders have."""

    @property
    def parent(self) -> str | None:
        """The image of this project that is the base; None if the base is a vendor's."""
        return None

    @property
    def vendor_source(self) -> str:
        """The name behind which a vendor replaces the base; empty for a base that stays the same."""
        return ""

    @property
    def folders(self) -> dict[str, str]:
        """Folders beside the definition that the build reads, by their purpose."""
        return {}

    def check(self, definition: "ImageDefinition") -> None:
        """Raise ValueError if the rest of the definition does not fit this base."""


Kind = TypeVar("Kind", bound=CloudBase)


class Debootstrap(Model):
    """A Debian base made from packages, without any vendor image."""

    suite: Name = Field(description="Debian release by code name, such as trixie")
    mirror: Url = Field(default="http://deb.debian.org/debian", description="package mirror to install from")


class QemuBase(CloudBase):
    """The base of a QEMU build: exactly one of image, url and debootstrap."""

    image: Name | None = Field(default=None, description="another image of this project: its newest complete version")
    url: Url | None = Field(
        default=None, description="URL of a vendor's cloud image, http(s); needs exactly one of sha256 and checksums"
    )
    sha256: Sha256 | None = Field(default=None, description="hex digest of the file behind url")
    checksums: HttpsUrl | None = Field(
        default=None,
        description="https URL of a list such as SHA256SUMS that has the file behind url: the newest image is the base",
    )
    debootstrap: Debootstrap | None = Field(default=None, description="a new Debian made from packages")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        require_one(self, "image", "url", "debootstrap")
        if self.url is None and self.checksums:
            raise ValueError("checksums needs url")
        if (self.url is None) != (self.sha256 is None and self.checksums is None):
            raise ValueError("url and sha256 belong together")
        if self.sha256 and self.checksums:
            raise ValueError("sha256 and checksums exclude each other: one pins the image, one follows it")
        return self

    @property
    def parent(self) -> str | None:
        return self.image

    @property
    def vendor_source(self) -> str:
        return str(self.url) if self.checksums else ""


class Bases(Model):
    """The base of each builder; a target without a builder of its own gets the QEMU disk."""

    qemu: QemuBase | None = None

    @model_validator(mode="after")
    def _one_lineage(self) -> Self:
        if not self.builders:
            raise ValueError(f"needs at least one of {', '.join(type(self).model_fields)}")
        if len(self.images) > 1:
            raise ValueError(f"all builders must have the same parent image, not {', '.join(self.images)}")
        return self

    @property
    def by_builder(self) -> dict[str, CloudBase]:
        """The bases that are set, QEMU's first."""
        return {name: base for name, base in vars(self).items() if base is not None}

    @property
    def builders(self) -> tuple[str, ...]:
        """The builders that have a base, QEMU first."""
        return tuple(self.by_builder)

    @property
    def images(self) -> list[str]:
        """The images of this project that builders start from, each once."""
        return list(dict.fromkeys(base.parent for base in self.by_builder.values() if base.parent))

    def of(self, kind: type[Kind]) -> Kind | None:
        """The base of a builder by its class."""
        return next((base for base in self.by_builder.values() if isinstance(base, kind)), None)


def require_one(base: CloudBase, *names: str) -> None:
    """Raise ValueError unless exactly one of these fields is set."""
    present = [name for name in names if getattr(base, name) is not None]
    if len(present) != 1:
        raise ValueError(f"needs exactly one of {', '.join(names)}; it has {', '.join(present) or 'none'}")
