"""The request and the context of a bake."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bakery.clouds.job import Toolchain
from bakery.host.events import Reporter
from bakery.host.vault import Vault
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Base
from bakery.model.lock import Lock
from bakery.model.project import Project
from bakery.model.version import ImageVersion


@dataclass(frozen=True)
class BakeRequest:
    """A definition to bake as one version; `inputs` is the input key spelled out, `file` is for messages."""

    definition: ImageDefinition
    version: str
    inputs: Mapping[str, str]
    input_key: str
    lock: Lock | None = None
    file: Path | None = None

    @property
    def image_version(self) -> ImageVersion:
        return ImageVersion(self.definition.name, self.definition.arch, self.version)


@dataclass(frozen=True)
class ParentImage:
    """An image of this project at a target, by its ID there, and its version, from which Packer builds another one."""

    id: str
    base: Base


@dataclass(frozen=True)
class BakeContext:
    """The project, the programs, the session with Vault (None without secrets) and the reporter of events.

    `keep` keeps the disk of a bake that fails on this machine, and `keep_guest` its guest until it is powered off. A
    `fresh` bake starts from no layer. `examine` is called with the raw disk and the report on its package archives
    while its digest is computed; it must not change them.
    """

    project: Project
    toolchain: Toolchain
    vault: Vault | None
    report: Reporter
    keep: bool = False
    keep_guest: bool = False
    fresh: bool = False
    examine: Callable[[Path, Path], None] = lambda _raw, _report: None
