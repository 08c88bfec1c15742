"""The paths of the user's project and of the workspace, which the bakery may write to."""

import os
from dataclasses import dataclass
from pathlib import Path

from bakery.model.naming import full_name
from bakery.model.resources import SHIPPED, Resources
from bakery.model.version import Versioned


@dataclass(frozen=True)
class Project:
    """`root` is the user's folder; users edit `definitions`, and the bakery writes to `workspace`.

    `shipped` has the bakery's own files.
    """

    root: Path
    definitions: Path
    workspace: Path
    shipped: Path = SHIPPED

    @property
    def resources(self) -> Resources:
        """The files that a bake reads besides definitions."""
        return Resources(self.root, self.shipped)

    @property
    def tool_bin(self) -> Path:
        """The folder of programs that the set-up installed; searched before PATH."""
        return self.resources.tools / "bin"

    @property
    def plugins(self) -> Path:
        """Packer's plugins that the set-up installed."""
        return self.resources.tools / "packer-plugins"

    @property
    def logs(self) -> Path:
        return self.workspace / "logs"

    @property
    def keys(self) -> Path:
        """The folder of the key that signs documents, for its owner alone; not among the artifacts."""
        return self.workspace / "keys"

    @property
    def cache(self) -> Path:
        """The folder of files that can be made again: parsed definitions, downloads, bases."""
        return self.workspace / "cache"

    @property
    def layers(self) -> Path:
        """The folder of layers: the workspace's own, or one that machines share, which BAKERY_LAYERS names."""
        shared = os.environ.get("BAKERY_LAYERS")
        return Path(shared).absolute() if shared else self.own_layers

    @property
    def own_layers(self) -> Path:
        return self.cache / "layers"

    @property
    def store(self) -> Path:
        """The folder of the local target's images."""
        return self.workspace / "store"

    def artifact_folder(self, of: Versioned) -> Path:
        """The folder of one version: its disk and its documents artifact, contents, verdict, publication-<target>."""
        return self.workspace / "artifacts" / full_name(of)

    def build_folder(self, of: Versioned, target: str) -> Path:
        """The folder of a build at a target: its documents build, contents, verdict, publication-<target>."""
        return self.workspace / "artifacts" / f"{full_name(of)}-{target}"
