"""vSphere: items of a content library; channels are items beside them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from bakery.clouds.cloud import Cloud
from bakery.clouds.read_back import ReadRequest
from bakery.clouds.target import Target
from bakery.clouds.vsphere.builder import BUILDER, FIELDS
from bakery.clouds.vsphere.settings import VsphereBase, VsphereDistribution
from bakery.machine.block_stream import BlockStream
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.project import Project


def _open_target(_project: Project, definition: ImageDefinition, credentials: Mapping[str, str]) -> Target:
    from bakery.clouds.vsphere.target import VsphereTarget  # requests takes 80 ms to import

    return VsphereTarget(definition, credentials)


def _try_login(definition: ImageDefinition, credentials: Mapping[str, str]) -> None:
    from bakery.clouds.vsphere.session import connect  # requests takes 80 ms to import

    vsphere = definition.distribution.of(VsphereDistribution)
    assert vsphere  # the definition's own rule: target vsphere needs distribution.vsphere
    for server in dict.fromkeys(place.account for place in vsphere.places):
        with connect(server, credentials):
            pass


def _find_base(definition: ImageDefinition, credentials: Mapping[str, str]) -> VendorBase:
    from bakery.clouds.vsphere.template import find_base  # requests takes 80 ms to import

    return find_base(definition, credentials)


def _open_disk(request: ReadRequest) -> AbstractContextManager[BlockStream]:
    from bakery.clouds.vsphere.read_back import open_disk  # requests takes 80 ms to import

    return open_disk(request)


CLOUD = Cloud(
    "vsphere",
    BUILDER,
    _open_target,
    VsphereBase,
    VsphereDistribution,
    credentials=FIELDS,
    try_login=_try_login,
    find_base=_find_base,
    open_disk=_open_disk,
    unseen_users="machines that were deployed from an item: they are clones and do not need it any more",
)
