"""The names that a version has at every target. The version stands in them, so finding is by name."""

from dataclasses import dataclass
from typing import Protocol


class Versioned(Protocol):
    """Artifacts, publications and catalog records."""

    @property
    def image(self) -> str: ...

    @property
    def arch(self) -> str: ...

    @property
    def version(self) -> str: ...


@dataclass(frozen=True)
class Named:
    """A version that nothing was made of yet."""

    image: str
    arch: str
    version: str


def full_name(of: Versioned) -> str:
    """`web-1.0.3-x86_64`: the name of the image in a cloud, the stem of its file."""
    return f"{of.image}-{of.version}-{of.arch}"
