"""The session of a verb: the project, its definitions, the catalog and a reporter of events."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bakery.bake.request import ParentImage
from bakery.catalog import Catalog, Record, open_store
from bakery.clouds.definitions import load
from bakery.engine import toolbox
from bakery.engine.fingerprint import Fingerprints
from bakery.engine.lookups import CatalogLookups
from bakery.engine.notifications import Notifier, named_recipients
from bakery.engine.plan import Plan, plan
from bakery.engine.updates import MAX_AGE
from bakery.engine.world import World
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.events import Reporter, silent
from bakery.model import baked, definition, documents, resources
from bakery.model.baked import Baked
from bakery.model.definition import Definitions, ImageDefinition
from bakery.model.documents import Artifact, Base
from bakery.model.project import Project
from bakery.model.version import ImageVersion
from bakery.signing import Keyring, open_keyring


@dataclass(frozen=True)
class Session:
    """One run of a verb."""

    project: Project
    definitions: Definitions
    catalog: Catalog
    report: Reporter = silent
    notifier: Notifier = field(default_factory=lambda: Notifier(named_recipients()))

    @property
    def keyring(self) -> Keyring:
        """The keys that sign this run's documents, and those that it trusts."""
        return open_keyring(self.project)

    def plan(
        self, names: list[str] | None, max_age: timedelta = MAX_AGE, rebuild_asked: datetime | None = None
    ) -> Plan:
        """Plan the named images and all their ancestors; an observation older than `max_age` counts as old.

        A named image whose newest version was baked before `rebuild_asked` is due; all are, if none is named. Each
        action but `keep` is decided by the records of the image and its ancestors.
        """
        images = self.definitions.with_ancestors(names or [])
        prints = Fingerprints(self.project, toolbox.versions(self.project), toolbox.machine())
        named = self.definitions.select(names or [])
        rebuilds = {image.name: rebuild_asked for image in named} if rebuild_asked else {}
        observations = self.catalog.newest_observations()
        answers = CatalogLookups(self.catalog, images)
        while True:
            world = World(
                datetime.now(UTC),
                observations.by_version,
                max_age,
                rebuilds,
                answers.failures,
                observations.bases_by_key,
            )
            document = plan(
                images,
                answers.lookups,
                inputs_of=lambda image, base: prints.inputs(image, self.definitions.sources[image.name], base),
                world=world,
            )
            changing = [action.image for action in document.actions if action.kind != "keep"]
            related = self.definitions.with_ancestors(changing) if changing else []
            unread = [image for image in related if not answers.has_records(image)]
            if not unread:
                return document
            answers.read_records(unread)

    def newest_record(self, image: ImageDefinition) -> Record | None:
        """The newest complete version of the release line, or of any if the line has none yet."""
        of_line = self.catalog.newest(image.name, image.arch, image.version)
        return of_line or self.catalog.newest(image.name, image.arch)

    def newest_artifact(self, image: ImageDefinition) -> Artifact:
        """The newest disk of the line in the workspace; NotFoundError if there is none."""
        for version in self._newest_first(image):
            if artifact := baked.find_artifact(self.project, image, version):
                return artifact
        raise self._not_baked(image)

    def newest_baked(self, image: ImageDefinition) -> Baked:
        """The newest version of the line that has a part in the workspace; NotFoundError unless it has all parts."""
        for version in self._newest_first(image):
            if baked.anything(self.project, image, version):
                return self.load_baked(image, version)
        raise self._not_baked(image)

    def load_baked(self, image: ImageDefinition, version: str) -> Baked:
        """All parts of a version; NotFoundError, with a hint, if one is not in the workspace."""
        try:
            return baked.load(self.project, image, version)
        except NotFoundError as error:
            error.hint = self._hint_for_absent(image)
            raise

    def _not_baked(self, image: ImageDefinition) -> NotFoundError:
        return NotFoundError(f"{image.name} {image.version} has not been baked here", hint=self._hint_for_absent(image))

    def _hint_for_absent(self, image: ImageDefinition) -> str:
        """A hint: the way to get a version that is not in this workspace. Baking helps only if it is due."""
        try:
            action = next(action for action in self.plan([image.name]).actions if action.image == image.name)
        except BakeryError:  # 'bakery plan' shows this error; here it must not hide the original one
            return f"'bakery plan {image.name}' says what is due"
        if action.kind in ("bake", "wait"):
            return f"run 'bakery bake {image.name}' first"
        folder = self.project.artifact_folder(ImageVersion(image.name, image.arch, action.version))
        return (
            f"{action.version} is complete, so no run bakes it again: copy {folder}* from the machine that baked it, "
            f"or bake a new version with 'bakery run --rebuild {image.name}'"
        )

    def _newest_first(self, image: ImageDefinition) -> list[str]:
        versions = self.catalog.versions(image.name, image.arch)
        return [version for version in reversed(versions) if version.startswith(f"{image.version}.")]

    def parent_image(self, image: ImageDefinition, target: str) -> ParentImage | None:
        """The image of the parent's newest complete version in the location of the builds; None without a parent."""
        base = image.base.by_builder[target]
        if base.parent is None:
            return None
        parent = self.definitions.images[base.parent]
        record = self.catalog.newest(parent.name, parent.arch, parent.version)
        published = record.publication(target) if record else None
        if record is None or published is None:
            raise BakeryError(
                f"{image.name} is built on {parent.name}, which has no complete version at {target}",
                where=self.definitions.where(image.name, "base", target, "image"),
                hint=f"add the target {target} to {parent.name} and run 'bakery run {parent.name}' first",
            )
        region = image.distribution.by_target[target].build_location
        for location in published.locations:
            if location.region == region and location.owned:
                return ParentImage(location.id, Base(parent.name, record.version, record.sha256))
        raise BakeryError(
            f"{image.name} is built in {region}, where {parent.name} {record.version} is not published",
            where=self.definitions.where(image.name, "distribution", target),
            hint=f"publish {parent.name} there, and run 'bakery run {parent.name}'; or build {image.name} in "
            + ", ".join(dict.fromkeys(location.region for location in published.locations)),
        )


def locate(definitions: Path, workspace: Path) -> Project:
    """The project of the current folder; UsageError if it has no definitions."""
    definition.files_of(definitions)
    return locate_stacks(definitions, workspace)


def locate_stacks(definitions: Path, workspace: Path) -> Project:
    """The project of the current folder, for verbs that only work on stacks and need no definitions."""
    if not (Path.cwd() / "cdktf.json").is_file():
        definition.files_of(definitions)
    return Project(Path.cwd(), definitions, workspace.absolute(), resources.SHIPPED)


def open_session(definitions: Path, workspace: Path, catalog: str, *, must_exist: bool = False) -> Session:
    """A session without a reporter of events; NotFoundError if its catalog must exist and does not."""
    project = locate(definitions, workspace)
    loaded = load(definitions, project.cache / "definitions.json")
    return Session(project, loaded, open_catalog(project, catalog, must_exist=must_exist))


def open_catalog(project: Project, location: str, trusted: Path | None = None, *, must_exist: bool = False) -> Catalog:
    """The catalog at a location, by default the workspace's own; NotFoundError if it must exist and does not.

    `trusted` is a file with the keys to trust.
    """
    store = open_store(location or str(project.workspace / "catalog"), must_exist=must_exist)
    return Catalog(store, open_keyring(project, trusted))


def write_trusted_keys(project: Project) -> Path:
    """A file with the keys that verify the catalog, for a program that gets no login to Vault, where they may be."""
    path = project.cache / "trusted-keys.json"
    documents.save(open_keyring(project).trusted_keys(), path)
    return path
