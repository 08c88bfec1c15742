"""Read the disk of an image back from its cloud, with the logins of its definition."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bakery.clouds import CLOUDS
from bakery.clouds.read_back import ReadRequest
from bakery.engine.logins import open_vault, read_build_credentials, read_credentials
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import Event, Reporter, report_step
from bakery.machine.block_stream import BlockStream
from bakery.model.definition import ImageDefinition
from bakery.model.documents import ImageLocation
from bakery.model.project import Project

Result = TypeVar("Result")


@dataclass(frozen=True)
class ImageReader:
    """Reads disks of one image as steps of a stage.

    `definition` is None for a reader who has none: the environment logs in. `by_builder` is true for the job that
    built the image, which may read the login of builds alone.
    """

    definition: ImageDefinition | None
    project: Project
    stage: str
    subject: str
    report: Reporter
    by_builder: bool = False

    def read(self, target: str, location: ImageLocation, use: Callable[[BlockStream, Path], Result]) -> Result:
        """The result of `use` for the disk of an image and a scratch folder. BakeryError if it cannot be read."""
        open_disk = CLOUDS[target].open_disk
        if open_disk is None:
            raise BakeryError(f"the bakery cannot read images back from {target}", where=location.region)
        text = f"read {location.id} back from {location.region or target}"
        definition = self.definition

        def report_progress(fraction: float) -> None:
            self.report(Event("progress", self.stage, self.subject, text, fraction=fraction))

        with (
            report_step(self.report, self.stage, self.subject, text),
            open_vault(self._find_login(target)) as vault,
            files.scratch(self.project.cache, "read-back") as scratch,
        ):
            settings = definition.distribution.by_target.get(target) if definition else None
            read_login = read_build_credentials if self.by_builder else read_credentials
            credentials = read_login(vault, definition, target) if definition else {}
            request = ReadRequest(location, settings, credentials, self.project.store, scratch, report_progress)
            with open_disk(request) as disk:
                return use(disk, scratch)

    def _find_login(self, target: str) -> str | None:
        """The path in Vault of the target's login."""
        if self.definition is None:
            return None
        distribution = self.definition.distribution
        return distribution.build_credentials(target) if self.by_builder else distribution.credentials(target)
