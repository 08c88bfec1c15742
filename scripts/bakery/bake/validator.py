"""Runs Packer's validator on image files before anything starts. It needs no Vault, no cloud and no guest."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bakery.bake import contract, packer
from bakery.clouds import BUILDERS
from bakery.clouds.job import Job, Toolchain
from bakery.host import files, process
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import silent
from bakery.machine.disk_image import BaseDisk
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Base
from bakery.model.project import Project

VERSION = "0.0.0"  # no version has this number


@dataclass(frozen=True)
class Template:
    """A folder of *.pkr.hcl, the block of it that is built (none: all), and an image that it builds."""

    folder: str
    source: str
    image: ImageDefinition
    builder: str

    def __str__(self) -> str:
        return f"{self.folder} {self.source}".rstrip()


def select_templates(images: Iterable[ImageDefinition]) -> list[Template]:
    """Every image file that the images are built with, once each: images that share a file differ only in values."""
    by_name: dict[str, Template] = {}
    for image in images:
        for builder in image.builders:
            if builder == "qemu" and not image.provisioned:
                continue  # its base is the image, and Packer does not run
            if image.template:
                template = Template(image.template, "", image, builder)
            else:
                folder = f"packer/templates/{image.template_folder(builder)}"
                template = Template(folder, BUILDERS[builder].source(image), image, builder)
            by_name.setdefault(str(template), template)
    return list(by_name.values())


def validate_template(project: Project, template: Template, toolchain: Toolchain) -> None:
    """Have Packer validate a template with the variables of its image; UsageError with file:line if it refuses.

    A user's own template also has to keep to the contract.
    """
    if template.image.template:
        contract.check_template(project.definitions / template.image.template, template.image, template.builder)
    image = template.image.model_copy(update={"secrets": {}})  # with them, Packer would ask Vault
    with files.scratch(project.workspace / "validate", image.name) as scratch:
        base = BaseDisk(_empty_disk(scratch), Base("none", "", ""), "") if template.builder == "qemu" else None
        log = scratch / "packer.log"
        try:
            packer.validate(Job(project, image, VERSION, template.builder, base, toolchain, scratch, log, silent))
        except UsageError:
            raise
        except BakeryError as error:
            where = error.where or str(project.definitions / f"{image.name}.yaml")
            raise UsageError(error.message, where=where, detail=error.detail, hint=error.hint) from error


def _empty_disk(folder: Path) -> Path:
    disk = folder / "base.qcow2"
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"])
    return disk
