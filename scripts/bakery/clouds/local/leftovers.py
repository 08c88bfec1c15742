"""Files in the local store that belong to versions of an image, and drafts that killed runs left."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bakery.clouds.target import Resource, ResourceKind, format_since, remove_each
from bakery.host import files
from bakery.host.errors import BakeryError, BusyError

DISABLED = ".disabled"  # behind the names of a disabled version's files
DRAFT = "disk"  # the prefix of the scratch folders in which the target writes disks
SUM = r"\.sha256"
VERSION = r"(?P<version>[0-9]+\.[0-9]+\.[0-9]+)"


def list_files(store: Path, image: str, arch: str) -> list[Resource]:
    """The disks of an image, checksums without a disk, and unfinished files. Links of channels are not among them."""
    name = rf"(?P<disk>{re.escape(image)}-{VERSION}-{re.escape(arch)}\.qcow2)"
    return [
        *_list_matches(store, name, "disk"),
        *(file for file in _list_matches(store, name + SUM, "file") if not _has_disk(store, file)),
        *_list_matches(store, rf"\.{name}{SUM}\.[0-9a-f]{{8}}", "file"),  # as `files.write_atomic` names them
        *_list_drafts(store, name),
    ]


def remove_files(store: Path, resources: Sequence[Resource]) -> dict[Resource, BakeryError]:
    """Remove listed files, a disk after its checksum; the errors of those that stay."""

    def remove(resource: Resource) -> None:
        path = store / resource.id
        with files.explain_errors(path):
            _remove_file(path, resource)

    return remove_each(resources, remove)


def _remove_file(path: Path, resource: Resource) -> None:
    if resource.kind == "upload":
        files.remove_scratch(path)
        if path.exists():
            raise BusyError("another run has this folder", where=str(path), hint="run again when it has ended")
        return
    if resource.kind == "disk":
        checksum_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def checksum_path(disk: Path) -> Path:
    """The file beside a disk that has its checksum."""
    return disk.with_name(f"{disk.name}.sha256")


def _has_disk(store: Path, checksum: Resource) -> bool:
    disk = checksum.id.removesuffix(".sha256")
    return any((store / name).exists() for name in (disk, f"{disk}{DISABLED}"))


def _list_drafts(store: Path, name: str) -> Iterator[Resource]:
    """The scratch folders in which a disk of the image was being written."""
    for folder in files.list_scratch(store, DRAFT):
        for draft in _list_matches(folder, name, "upload"):
            yield replace(draft, location=str(store), id=folder.name)


def _list_matches(folder: Path, pattern: str, kind: ResourceKind) -> Iterator[Resource]:
    """The entries of a folder whose whole name matches; none that another run removes meanwhile."""
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            if match := re.fullmatch(pattern, path.name):
                with suppress(FileNotFoundError):
                    written = format_since(datetime.fromtimestamp(path.lstat().st_mtime, UTC))
                    yield Resource(str(folder), kind, path.name, match["version"], written)
