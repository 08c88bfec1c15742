"""The images that an environment's channel points at, read from the catalog."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from bakery.catalog import Catalog, ChannelEntry, Record
from bakery.host.errors import BakeryError, NotFoundError, suggest
from bakery.model.documents import Pointer, Publication
from bakery_stacks.config import Environment

MACHINE_ARCH = "x86_64"  # the architecture of all machines that stacks start
READERS = 16  # at once: an image takes four S3 requests of some 20 ms, so 1,000 images take seconds


@dataclass(frozen=True)
class RegionalImage:
    """An image in one region, with the parameter of its version and that of the channel."""

    image_id: str
    version: Pointer
    channel: Pointer


@dataclass(frozen=True)
class PublishedImage:
    """The version of an image that a channel points at, with its regions."""

    name: str
    arch: str
    version: str
    regions: dict[str, RegionalImage]


@dataclass(frozen=True)
class MissingImage:
    """The reason why the channel lacks an image that a stack starts machines from, and a hint."""

    reason: str
    hint: str


@dataclass(frozen=True)
class ChannelImages:
    """All images of a channel. `missing_images` are those that the environment's machines need, but it lacks."""

    images: tuple[PublishedImage, ...]
    missing_images: Mapping[str, MissingImage]

    def machine_image(self, name: str, region: str) -> PublishedImage | None:
        """The image of a name for machines in a region."""
        matches = (image for image in self.images if (image.name, image.arch) == (name, MACHINE_ARCH))
        return next((image for image in matches if region in image.regions), None)


def read_channel_images(catalog: Catalog, environment: Environment) -> ChannelImages | None:
    """Every image that the environment's channel points at and that is published at AWS.

    None before the first deploy, which creates the catalog's bucket.
    """
    try:
        names = catalog.images()
    except NotFoundError:
        return None
    with ThreadPoolExecutor(READERS) as pool:
        images = pool.map(lambda name: _read_image(catalog, environment, *name), names)
        channel_images = ChannelImages(tuple(image for image in images if image), {})
    baked = [name for name, arch in names if arch == MACHINE_ARCH]
    missing_images = {
        name: _why_missing(catalog, environment, name) if name in baked else unbaked_image(environment, name, baked)
        for name in sorted(environment.machine_images)
        if not channel_images.machine_image(name, environment.home_region)
    }
    return replace(channel_images, missing_images=missing_images)


def unbaked_image(environment: Environment, image: str, names: Sequence[str] = ()) -> MissingImage:
    """The reason for an image that the catalog does not have; `names` are those that it has."""
    return MissingImage("the catalog has no version of it", suggest(image, names) or _publish_hint(environment, image))


def _why_missing(catalog: Catalog, environment: Environment, image: str) -> MissingImage:
    """The reason from more of the catalog, which is read only for a missing image: other synths stay fast."""
    channel, publish = environment.channel, _publish_hint(environment, image)
    if entry := catalog.channel(image, MACHINE_ARCH, channel):
        publication = catalog.record(entry).publication("aws")
        location = f"in {environment.home_region} of account {environment.account}" if publication else "at AWS"
        return MissingImage(f"the channel points at {entry.version}, which is not {location}", publish)
    newest = catalog.newest(image, MACHINE_ARCH)
    if newest is None:
        return MissingImage("no version of it is complete", publish)
    if newest.publication("aws") is None:
        return MissingImage(f"its newest version, {newest.version}, was not published to AWS", publish)
    reason = f"{newest.version} is published, but the channel does not point at it"
    return MissingImage(reason, f"run 'bakery promote {image} {newest.version} {channel}'")


def _publish_hint(environment: Environment, image: str) -> str:
    """A hint for an image that is not published in the home region: its definition lacks the target or the region."""
    return (
        f"give the definition of {image} the target aws, with {environment.home_region} in distribution.aws.regions;"
        f" then 'bakery run {image}' and 'bakery promote {image} VERSION {environment.channel}'"
        " (docs/how-to/run-against-aws.md)"
    )


def _read_image(catalog: Catalog, environment: Environment, name: str, arch: str) -> PublishedImage | None:
    entry = catalog.channel(name, arch, environment.channel)
    if entry is None:
        return None
    record = catalog.record(entry)
    _require_complete(record, entry, catalog.location)
    publication = record.publication("aws")
    if publication is None:
        return None
    locations = _regional_images(environment, publication, entry)
    return PublishedImage(name, arch, record.version, locations) if locations else None


def _regional_images(
    environment: Environment, publication: Publication, entry: ChannelEntry
) -> dict[str, RegionalImage]:
    """The regions of the environment in which its account has the image and both parameters."""
    ids = {
        location.region: location.id for location in publication.locations if location.account == environment.account
    }
    versions = _by_region(environment, publication.pointers)
    channels = _by_region(environment, entry.pointers)
    return {
        region: RegionalImage(ids[region], versions[region], channels[region])
        for region in environment.regions
        if region in ids and region in versions and region in channels
    }


def _by_region(environment: Environment, parameters: tuple[Pointer, ...]) -> dict[str, Pointer]:
    return {images.region: images for images in parameters if images.account == environment.account}


def _require_complete(record: Record, entry: ChannelEntry, location: str) -> None:
    """Refuse a revoked version: a stack must not use it, and removing it would break its users."""
    if record.state != "complete":
        raise BakeryError(
            f"channel {entry.channel} of {record.image} points at {record.version}, which is {record.state}",
            where=location,
            hint=f"run 'bakery rollback {record.image} {entry.channel}', then try again",
        )
