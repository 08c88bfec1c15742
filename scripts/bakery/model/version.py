"""The identity of a version, which documents, names and folders share."""

from dataclasses import dataclass
from typing import Protocol


class Versioned(Protocol):
    """Anything that belongs to one version: artifacts, publications, catalog records, channel entries."""

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
