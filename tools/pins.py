"""tools.toml as values."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
# Build metadata, such as Vault's +ent, does not order versions; a pre-release is no release.
RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:\+[\w.]+)?")


@dataclass(frozen=True)
class Release:
    """The vendor's archive, zip or tar. Either `sha256` is known or `sums` is the URL of the vendor's checksum file."""

    url: str
    member: str
    sha256: str | None
    sums: str | None

    @property
    def archive(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Tool:
    name: str
    version: str
    release: Release
    source: Path
    module: str | None = None
    minutes: int = 0
    tags: str = ""
    ldflags: str = ""
    version_args: tuple[str, ...] = ("version",)
    plugin: str | None = None

    @property
    def recipe(self) -> str:
        """Twelve hex digits that change with anything that a build from source depends on."""
        files = [self.source / name for name in ("go.mod", "go.sum")] if self.module else []
        parts = [self.tags, self.ldflags, *(path.read_text() for path in files)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    def accepts(self, version: str) -> bool:
        """Whether a version is the pinned one or a newer one of the same major. The doctor applies the same rule."""
        offered, pinned = _version_numbers(version), _version_numbers(self.version)
        return pinned <= offered and pinned[:1] == offered[:1]

    @property
    def accepted(self) -> str:
        """The accepted versions for people, such as >= 1.11.4, < 2."""
        return f">= {self.version}, < {_version_numbers(self.version)[0] + 1}"


def _version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version; empty for a text that is not the version of a release."""
    match = RELEASE.fullmatch(version)
    return tuple(int(number) for number in match.groups()) if match else ()


def load(path: Path = FOLDER / "tools.toml") -> list[Tool]:
    """Tools in the file's order; the folder `go/` beside it holds their wrapper modules."""
    table = tomllib.loads(path.read_text())
    return [_read_tool(name, entry, path.parent / "go" / name) for name, entry in table.items()]


def _read_tool(name: str, entry: dict[str, Any], source: Path) -> Tool:
    release = {key: text.format(version=entry["version"]) for key, text in entry["release"].items()}
    return Tool(
        name=name,
        version=entry["version"],
        release=Release(release["url"], release["member"], release.get("sha256"), release.get("sums")),
        source=source,
        module=entry.get("module"),
        minutes=entry.get("minutes", 0),
        tags=entry.get("tags", ""),
        ldflags=entry.get("ldflags", ""),
        version_args=tuple(entry.get("version_args", ["version"])),
        plugin=entry.get("plugin"),
    )
