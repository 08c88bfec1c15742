"""The newest version of a marketplace image, which a build starts from."""

from collections.abc import Mapping

from bakery.clouds.azure.calls import explain_errors
from bakery.clouds.azure.session import connect
from bakery.clouds.azure.settings import AzureBase, AzureDistribution
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase


def find_base(definition: ImageDefinition, credentials: Mapping[str, str]) -> VendorBase:
    """The version that `latest` stands for in the region of the builds; the marketplace gives it no date.

    Versions are compared by their numbers. BakeryError if the marketplace has none there.
    """
    base, settings = definition.base.of(AzureBase), definition.distribution.of(AzureDistribution)
    assert base and base.urn and settings
    publisher, offer, sku, _ = base.urn.split(":")
    region = settings.build_location
    with explain_errors(f"look for the marketplace image {base.urn}", region):
        answers = connect(settings, credentials).compute.virtual_machine_images.list(region, publisher, offer, sku)
        versions = [answer.name for answer in answers if answer.name]
    if not versions:
        raise BakeryError(
            f"the marketplace has no version of {publisher}:{offer}:{sku}",
            where=region,
            hint="check base.azure.urn: 'az vm image list --all' lists the images of a publisher",
        )
    return VendorBase(max(versions, key=_version_numbers), f"{publisher}:{offer}:{sku}")


def _version_numbers(version: str) -> tuple[int, ...]:
    """MAJOR.MINOR.PATCH; another form comes before all others."""
    numbers = version.split(".")
    return tuple(map(int, numbers)) if all(map(str.isdecimal, numbers)) else ()
