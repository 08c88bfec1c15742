"""Tries a login at Azure before a run: it reads what publishing will need, and changes nothing."""

from collections.abc import Mapping

from bakery.clouds.azure import blobs, gallery
from bakery.clouds.azure.session import connect
from bakery.clouds.azure.settings import AzureDistribution
from bakery.model.bases import QEMU
from bakery.model.definition import ImageDefinition


def try_login(definition: ImageDefinition, credentials: Mapping[str, str]) -> None:
    """BakeryError unless the application may read the gallery and, for a disk, the blobs of the storage account.

    Rights to write show only in the work itself.
    """
    azure = definition.distribution.of(AzureDistribution)
    assert azure  # the definition's own rule: target azure needs distribution.azure
    session = connect(azure, credentials)
    gallery.find_location(session, azure.subscription, azure.resource_group, azure.gallery)
    if session.blobs and definition.builder_of("azure") == QEMU:
        blobs.require_access(session.blobs)
