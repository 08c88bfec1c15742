"""This machine: disks baked in QEMU, and a folder that keeps them."""

from collections.abc import Mapping

from bakery.clouds.cloud import Cloud
from bakery.clouds.local.builder import BUILDER
from bakery.clouds.target import Target
from bakery.model.bases import QemuBase
from bakery.model.definition import ImageDefinition
from bakery.model.project import Project


def _open_target(project: Project, _definition: ImageDefinition, _credentials: Mapping[str, str]) -> Target:
    from bakery.clouds.local.target import LocalTarget

    return LocalTarget(project.store)


CLOUD = Cloud("local", BUILDER, _open_target, QemuBase)
