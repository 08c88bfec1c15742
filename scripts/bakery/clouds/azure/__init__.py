"""Azure: versions in a Compute Gallery with replicas in regions; channels are tags."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from bakery.clouds.azure.builder import BUILDER, FIELDS
from bakery.clouds.azure.settings import AzureBase, AzureDistribution
from bakery.clouds.cloud import Cloud
from bakery.clouds.read_back import ReadRequest
from bakery.clouds.target import Target
from bakery.machine.block_stream import BlockStream
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.project import Project


def _open_target(_project: Project, definition: ImageDefinition, credentials: Mapping[str, str]) -> Target:
    from bakery.clouds.azure.target import AzureTarget  # the SDK takes 700 ms to import

    return AzureTarget(definition, credentials)


def _try_login(definition: ImageDefinition, credentials: Mapping[str, str]) -> None:
    from bakery.clouds.azure.login import try_login  # the SDK takes 700 ms to import

    try_login(definition, credentials)


def _find_base(definition: ImageDefinition, credentials: Mapping[str, str]) -> VendorBase:
    from bakery.clouds.azure.marketplace import find_base  # the SDK takes 700 ms to import

    return find_base(definition, credentials)


def _open_disk(request: ReadRequest) -> AbstractContextManager[BlockStream]:
    from bakery.clouds.azure.read_back import open_disk  # the SDK takes 700 ms to import

    return open_disk(request)


CLOUD = Cloud(
    "azure",
    BUILDER,
    _open_target,
    AzureBase,
    AzureDistribution,
    credentials=FIELDS,
    try_login=_try_login,
    find_base=_find_base,
    open_disk=_open_disk,
    unseen_users="machines in other subscriptions than that of the gallery",
)
