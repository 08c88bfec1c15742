"""tools.toml as values."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Release:
    """The vendor's zip archive. Either `sha256` is known or `sums` is the URL of the vendor's checksum file."""

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


def load(path: Path = HERE / "tools.toml") -> list[Tool]:
    """Tools in the file's order; the folder `go/` beside it holds their wrapper modules."""
    table = tomllib.loads(path.read_text())
    return [_tool(name, entry, path.parent / "go" / name) for name, entry in table.items()]


def _tool(name: str, entry: dict[str, Any], source: Path) -> Tool:
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
