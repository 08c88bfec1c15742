"""The identity of a version, which documents, names and folders share."""

from dataclasses import dataclass
from typing import Protocol


class Versioned(Protocol):
    """An object of one version: an artifact, a publication, a catalog record, a channel entry."""

    @property
    def image(self) -> str: ...

    @property
    def arch(self) -> str: ...

    @property
    def version(self) -> str: ...


@dataclass(frozen=True)
class ImageVersion:
    """One version of an image for one architecture; `version` is MAJOR.MINOR.PATCH."""

    image: str
    arch: str
    version: str

    @classmethod
    def of(cls, versioned: Versioned) -> "ImageVersion":
        """The version that an object is of."""
        return cls(versioned.image, versioned.arch, versioned.version)
