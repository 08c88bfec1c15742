"""Where things are: the project's folders and the workspace that the bakery may write to."""

from dataclasses import dataclass
from pathlib import Path

from bakery.model.naming import full_name
from bakery.model.version import Versioned


@dataclass(frozen=True)
class Project:
    """`root` holds packer/, ansible/ and tests/; `definitions` is what users edit; `workspace` is ours to write."""

    root: Path
    definitions: Path
    workspace: Path

    @property
    def templates(self) -> Path:
        return self.root / "packer" / "templates"

    @property
    def ansible(self) -> Path:
        return self.root / "ansible"

    @property
    def roles(self) -> Path:
        return self.ansible / "roles"

    @property
    def image_tests(self) -> Path:
        return self.root / "tests" / "images"

    @property
    def tools(self) -> Path:
        return self.root / "tools"

    @property
    def tool_versions(self) -> Path:
        """The versions that the set-up installs."""
        return self.tools / "tools.toml"

    @property
    def tool_bin(self) -> Path:
        """Programs that the set-up installed; looked at before PATH."""
        return self.root / ".bakery" / "tools" / "bin"

    @property
    def logs(self) -> Path:
        return self.workspace / "logs"

    @property
    def cache(self) -> Path:
        """Things that can be made again: parsed definitions, downloads, bases."""
        return self.workspace / "cache"

    @property
    def store(self) -> Path:
        """Where the local target keeps images."""
        return self.workspace / "store"

    def artifact_folder(self, of: Versioned) -> Path:
        """Holds disk.qcow2, artifact.json, verdict.json and publication-<target>.json of one version."""
        return self.workspace / "artifacts" / full_name(of)

    def build_folder(self, of: Versioned, target: str) -> Path:
        """Holds build.json and publication.json of what Packer built at a target."""
        return self.workspace / "artifacts" / f"{full_name(of)}-{target}"
