"""The paths of the user's project and of the workspace, which the bakery may write to."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bakery.host.errors import UsageError
from bakery.model.naming import full_name
from bakery.model.resources import SHIPPED, Resources
from bakery.model.version import Versioned

BUCKET = re.compile(r"s3://[^/]+(/.*)?")
SCHEME = re.compile(r"\w[\w+.-]*:")


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
        """The folder of layers: the workspace's own, or one that machines share, which BAKERY_LAYERS names.

        UsageError if BAKERY_LAYERS names neither a folder nor a bucket.
        """
        shared = name_shared_layers()
        return Path(shared).absolute() if shared and not self.layer_bucket else self.own_layers

    @property
    def layer_bucket(self) -> str:
        """The bucket behind the own folder of layers, s3://BUCKET/PREFIX; empty if BAKERY_LAYERS names none."""
        shared = name_shared_layers()
        return shared if BUCKET.fullmatch(shared) else ""

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


def name_shared_layers() -> str:
    """The folder or the bucket in BAKERY_LAYERS; UsageError for another scheme, such as a mistyped one."""
    location = os.environ.get("BAKERY_LAYERS", "")
    if SCHEME.match(location) and not BUCKET.fullmatch(location):
        raise UsageError(
            f"BAKERY_LAYERS: '{location}' is not a location of layers",
            hint="it is a folder, or s3://BUCKET/PREFIX; a folder with a colon in its name is written ./NAME",
        )
    return location
