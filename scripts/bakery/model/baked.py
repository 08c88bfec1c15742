"""Reads the parts of one version from the workspace."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bakery.host.errors import BakeryError, NotFoundError
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Part, RemoteBuild
from bakery.model.naming import full_name
from bakery.model.project import Project
from bakery.model.version import ImageVersion


def part_folder(project: Project, part: Part) -> Path:
    """The folder of a part's documents."""
    return project.artifact_folder(part) if isinstance(part, Artifact) else project.build_folder(part, part.target)


@dataclass(frozen=True)
class Baked:
    """The disk, if a target needs it, and Packer's builds by target."""

    definition: ImageDefinition
    version: str
    artifact: Artifact | None
    builds: Mapping[str, RemoteBuild]

    @property
    def image(self) -> str:
        return self.definition.name

    @property
    def arch(self) -> str:
        return self.definition.arch

    @property
    def parts(self) -> list[Part]:
        """All parts, the disk first."""
        return [*([self.artifact] if self.artifact else []), *self.builds.values()]

    def folder(self, project: Project, target: str) -> Path:
        """The folder of a target's documents."""
        if target in self.builds:
            return project.build_folder(self, target)
        return project.artifact_folder(self)


def load(project: Project, definition: ImageDefinition, version: str) -> Baked:
    """All parts of a version that a definition's targets need; NotFoundError if one is missing.

    The caller adds the hint, which depends on the catalog.
    """
    artifact = find_artifact(project, definition, version)
    builds = {target: find_build(project, definition, version, target) for target in definition.remote_targets}
    missing = [target for target, build in builds.items() if build is None]
    if "qemu" in definition.builders and artifact is None:
        missing.insert(0, "qemu")
    baked = Baked(definition, version, artifact, {target: build for target, build in builds.items() if build})
    if missing:
        raise NotFoundError(
            f"{full_name(baked)} is not complete in this workspace: {', '.join(missing)} missing",
            where=str(project.workspace / "artifacts"),
        )
    return baked


def anything(project: Project, definition: ImageDefinition, version: str) -> bool:
    """Whether the workspace has any part of a version."""
    disk = find_artifact(project, definition, version)
    return bool(disk or any(find_build(project, definition, version, name) for name in definition.remote_targets))


def find_artifact(project: Project, definition: ImageDefinition, version: str) -> Artifact | None:
    """The disk of a version; None if it, or only its document, is missing."""
    of = ImageVersion(definition.name, definition.arch, version)
    folder = project.artifact_folder(of)
    artifact = documents.find(Artifact, folder / "artifact.json", _repair(definition, folder))
    if artifact and ImageVersion.of(artifact) != of:
        raise _misplaced(artifact, definition, folder)
    return artifact if (folder / "disk.qcow2").exists() else None


def find_build(project: Project, definition: ImageDefinition, version: str, target: str) -> RemoteBuild | None:
    """The document of Packer's build of a version at a target; None if it is missing."""
    of = ImageVersion(definition.name, definition.arch, version)
    folder = project.build_folder(of, target)
    build = documents.find(RemoteBuild, folder / "build.json", _repair(definition, folder))
    if build and (ImageVersion.of(build), build.target) != (of, target):
        raise _misplaced(build, definition, folder)
    return build


def _misplaced(part: Part, definition: ImageDefinition, folder: Path) -> BakeryError:
    """The error for the document of another version: what is read next would be of that one."""
    where = f" at {part.target}" if isinstance(part, RemoteBuild) else ""
    hint = _repair(definition, folder)
    return BakeryError(f"the folder has a document of {full_name(part)}{where}", where=str(folder), hint=hint)


def _repair(definition: ImageDefinition, folder: Path) -> str:
    return f"remove {folder} and run 'bakery run {definition.name}' again"
