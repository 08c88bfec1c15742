"""Packer's manifest: the results of a build."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bakery.host.errors import BakeryError

DISKS = (".qcow2", ".raw")  # a build's folder also holds the firmware's variables

HINT = 'end the template with: post-processor "manifest" { output = var.manifest }'


@dataclass(frozen=True)
class File:
    """A file of an artifact; the size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Build:
    """One entry of a manifest; `custom_data` comes from the template."""

    packer_run_uuid: str
    artifact_id: str = ""
    files: tuple[File, ...] | None = None
    custom_data: dict[str, str] | None = None


@dataclass(frozen=True)
class Manifest:
    """The whole file, which keeps the entries of older runs."""

    builds: tuple[Build, ...]
    last_run_uuid: str


def disk(path: Path, image: str, version: str, folder: Path) -> Path:
    """The one disk that the last run made inside `folder`; BakeryError if there is not exactly one."""
    build = last_build(path, image, version)
    outputs = [Path(file.name).absolute() for file in build.files or ()]
    disks = [file for file in outputs if file.suffix in DISKS]
    if len(disks) != 1:
        names = ", ".join(file.name for file in outputs) or "nothing"
        raise BakeryError(
            f"Packer made {names}, not one disk", where=str(path), hint="a template must make one qcow2 or raw disk"
        )
    if not disks[0].resolve().is_relative_to(folder.resolve()):
        raise BakeryError(
            f"the disk is outside the folder of this bake: {disks[0]}",
            where=str(path),
            hint="write it to var.output_folder",
        )
    if not disks[0].is_file():
        raise BakeryError(f"the disk that Packer names does not exist: {disks[0]}", where=str(path))
    return disks[0]


def last_build(path: Path, image: str, version: str) -> Build:
    """The one artifact of the last run; BakeryError if there are several, or if it is of another image or version."""
    build = _read_last(path)
    custom_data = build.custom_data or {}
    for name, expected in (("image", image), ("version", version)):
        if custom_data.get(name, expected) != expected:
            raise BakeryError(
                f"Packer built {name} {custom_data[name]}, not {expected}",
                where=str(path),
                hint="check the template's custom_data",
            )
    return build


def _read_last(path: Path) -> Build:
    try:
        manifest = TypeAdapter(Manifest).validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BakeryError("Packer succeeded but wrote no manifest", where=str(path), hint=HINT) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise BakeryError(f"Packer's manifest cannot be read: {first['msg']}", where=str(path), hint=HINT) from error
    builds = [build for build in manifest.builds if build.packer_run_uuid == manifest.last_run_uuid]
    if len(builds) != 1:
        raise BakeryError(f"a template must make one artifact; this run made {len(builds)}", where=str(path), hint=HINT)
    return builds[0]
