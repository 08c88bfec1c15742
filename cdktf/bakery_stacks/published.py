"""What the catalog says about an environment's channel: the values that the images stack hands out."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bakery.catalog import Catalog, ChannelEntry, Record
from bakery.documents import Parameter, Publication
from bakery.errors import BakeryError, NotFoundError
from bakery_stacks.config import Environment

READERS = 16  # at once: an image takes four S3 requests of some 20 ms, so 1,000 images take seconds


@dataclass(frozen=True)
class RegionalImage:
    """An image in one region, with the parameter of its version and that of the channel."""

    image_id: str
    version: Parameter
    channel: Parameter


@dataclass(frozen=True)
class PublishedImage:
    """The version of an image that a channel points at, by region."""

    name: str
    arch: str
    version: str
    regions: dict[str, RegionalImage]


def read(catalog: Catalog, environment: Environment) -> list[PublishedImage] | None:
    """Every image that the environment's channel points at and that is published at AWS.

    None before the first deploy, when this program runs to make the catalog's bucket.
    """
    try:
        names = catalog.images()
    except NotFoundError:
        return None
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda name: _image(catalog, environment, *name), names)
        return [image for image in found if image]


def _image(catalog: Catalog, environment: Environment, name: str, arch: str) -> PublishedImage | None:
    entry = catalog.channel(name, arch, environment.channel)
    if entry is None:
        return None
    record = catalog.record(name, arch, entry.version)
    publication = record.publication("aws")
    if publication is None:
        return None
    _require_complete(record, entry, catalog.location)
    places = _places(environment, publication, entry)
    return PublishedImage(name, arch, record.version, places) if places else None


def _places(environment: Environment, publication: Publication, entry: ChannelEntry) -> dict[str, RegionalImage]:
    """The environment's own account in its regions, where image and both parameters are known."""
    ids = {place.region: place.id for place in publication.places if place.account == environment.account}
    versions = _by_region(environment, publication.parameters)
    channels = _by_region(environment, entry.pointers)
    return {
        region: RegionalImage(ids[region], versions[region], channels[region])
        for region in environment.regions
        if region in ids and region in versions and region in channels
    }


def _by_region(environment: Environment, parameters: tuple[Parameter, ...]) -> dict[str, Parameter]:
    return {found.region: found for found in parameters if found.account == environment.account}


def _require_complete(record: Record, entry: ChannelEntry, location: str) -> None:
    """A revoked version must not be handed out, and dropping it would break its users: a person decides."""
    if record.state != "complete":
        raise BakeryError(
            f"channel {entry.channel} of {record.image} points at {record.version}, which is {record.state}",
            where=location,
            hint=f"run 'bakery rollback {record.image} {entry.channel}', then try again",
        )
