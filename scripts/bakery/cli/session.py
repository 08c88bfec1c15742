"""What a verb works with: the project, its definitions, the catalog and a listener."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bakery import definition, documents
from bakery.catalog import Catalog, Record, open_store
from bakery.cli import toolbox
from bakery.definition import Definitions, ImageDefinition
from bakery.documents import Artifact
from bakery.errors import BakeryError, NotFoundError
from bakery.events import Tell, silent
from bakery.fingerprint import Fingerprints
from bakery.plan import Plan, plan
from bakery.project import Project
from bakery.reports import Verbosity, watch


@dataclass(frozen=True)
class Session:
    """One run of a verb."""

    project: Project
    definitions: Definitions
    catalog: Catalog
    tell: Tell = silent

    def plan(self, names: list[str] | None) -> Plan:
        """Plan the named images and all they are built on."""
        images = self.definitions.with_ancestors(names or [])
        prints = Fingerprints(self.project, toolbox.versions(self.project), toolbox.machine())
        return plan(
            images,
            newest_of=lambda image: self.catalog.newest(image.name, image.arch, image.version),
            inputs_of=lambda image, base: prints.inputs(image, self.definitions.sources[image.name], base),
            now=datetime.now(UTC),
        )

    def artifact(self, image: ImageDefinition, version: str) -> tuple[Artifact, Path]:
        """A baked version in the workspace and its folder; NotFoundError if it is not here."""
        folder = self.project.artifact_folder(image.name, image.arch, version)
        try:
            return documents.load(Artifact, folder / "artifact.json"), folder
        except NotFoundError:
            raise NotFoundError(
                f"the disk of {image.name} {version} is not in this workspace",
                where=str(folder),
                hint=f"run 'bakery bake {image.name}', or bring the artifact's folder here",
            ) from None

    def newest_artifact(self, image: ImageDefinition) -> tuple[Artifact, Path]:
        """The newest baked version of the line in the workspace and its folder; NotFoundError if there is none."""
        for version in reversed(self.catalog.versions(image.name, image.arch)):
            folder = self.project.artifact_folder(image.name, image.arch, version)
            if version.startswith(f"{image.version}.") and (folder / "artifact.json").exists():
                return self.artifact(image, version)
        raise NotFoundError(
            f"{image.name} {image.version} has not been baked here", hint=f"run 'bakery bake {image.name}' first"
        )

    def parent_disk(self, image: ImageDefinition) -> tuple[Record, Path]:
        """The newest complete version of the parent and its disk at the local target."""
        parent = self.definitions.images[image.parent or ""]
        record = self.catalog.newest(parent.name, parent.arch, parent.version)
        local = record.publication("local") if record else None
        if record is None or local is None:
            raise BakeryError(
                f"{image.name} is built on {parent.name}, which has no complete version at the local target",
                where=self.definitions.where(image.name, "base", "qemu", "image"),
                hint=f"run 'bakery run {parent.name}' first",
            )
        stored = Path(local.places[0].id)
        brought = self.project.store / stored.name  # a CI job gets it as an artifact, and may run in another folder
        return record, brought if brought.exists() else stored


def locate(definitions: Path, workspace: Path) -> Project:
    """The project of the current folder."""
    return Project(Path.cwd(), definitions, workspace.absolute())


@contextmanager
def session(
    definitions: Path, workspace: Path, catalog: str, *, verb: str, quiet: bool = False, verbose: bool = False
) -> Iterator[Session]:
    """Open a session whose news go to the screen and to `logs/<time>-<verb>.log`; its path is shown on failure."""
    opened = quick_session(definitions, workspace, catalog)
    log = opened.project.logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{verb}-{os.getpid()}.log"
    verbosity = Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
    try:
        with watch(sys.stderr, verbosity, log) as tell:
            yield Session(opened.project, opened.definitions, opened.catalog, tell)
    except BakeryError as error:
        error.log = error.log or log
        raise


def quick_session(definitions: Path, workspace: Path, catalog: str) -> Session:
    """A session for verbs that answer at once: no screen, no log file."""
    project = locate(definitions, workspace)
    loaded = definition.load(definitions, project.cache / "definitions.json")
    return Session(project, loaded, open_catalog(project, catalog))


def open_catalog(project: Project, location: str) -> Catalog:
    """The catalog at a location; the workspace's own if it is empty."""
    return Catalog(open_store(location or str(project.workspace / "catalog")))
