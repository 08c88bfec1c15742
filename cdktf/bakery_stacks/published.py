"""What the catalog says about an environment's channel: the values that the images stack hands out."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from bakery.catalog import Catalog, ChannelEntry, Record
from bakery.host.errors import BakeryError, NotFoundError, suggest
from bakery.model.documents import Parameter, Publication
from bakery_stacks.config import Environment

MACHINE_ARCH = "x86_64"  # of the machines that stacks start
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


@dataclass(frozen=True)
class Missing:
    """Why the channel does not hand out an image that machines of a stack start from, and what to do."""

    reason: str
    hint: str


@dataclass(frozen=True)
class Published:
    """What an environment hands out. `missing` has those of its machines' images that are not there, by name."""

    images: tuple[PublishedImage, ...]
    missing: Mapping[str, Missing]

    def machine_image(self, name: str, region: str) -> PublishedImage | None:
        """The image of that name for machines in a region."""
        named = (image for image in self.images if (image.name, image.arch) == (name, MACHINE_ARCH))
        return next((image for image in named if region in image.regions), None)


def read(catalog: Catalog, environment: Environment) -> Published | None:
    """Every image that the environment's channel points at and that is published at AWS.

    None before the first deploy, when this program runs to make the catalog's bucket.
    """
    try:
        names = catalog.images()
    except NotFoundError:
        return None
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda name: _image(catalog, environment, *name), names)
        handed_out = Published(tuple(image for image in found if image), {})
    known = [name for name, arch in names if arch == MACHINE_ARCH]
    missing = {
        name: _why_missing(catalog, environment, name) if name in known else never_baked(environment, name, known)
        for name in sorted(environment.machine_images)
        if not handed_out.machine_image(name, environment.home_region)
    }
    return replace(handed_out, missing=missing)


def never_baked(environment: Environment, image: str, known: Sequence[str] = ()) -> Missing:
    """Of an image that is not in the catalog; `known` are those that are."""
    return Missing("the catalog has no version of it", suggest(image, known) or _publish(environment, image))


def _why_missing(catalog: Catalog, environment: Environment, image: str) -> Missing:
    """Asks the catalog a few things more: only for an image that is not there, so that no other synth is slower."""
    channel, publish = environment.channel, _publish(environment, image)
    if entry := catalog.channel(image, MACHINE_ARCH, channel):
        published = catalog.record(entry).publication("aws")
        place = f"in {environment.home_region} of account {environment.account}" if published else "at AWS"
        return Missing(f"it points at {entry.version}, which is not {place}", publish)
    newest = catalog.newest(image, MACHINE_ARCH)
    if newest is None:
        return Missing("no version of it is complete", publish)
    if newest.publication("aws") is None:
        return Missing(f"its newest version, {newest.version}, was not published to AWS", publish)
    moved = f"{newest.version} is published, but the channel was never moved to it"
    return Missing(moved, f"run 'bakery promote {image} {newest.version} {channel}'")


def _publish(environment: Environment, image: str) -> str:
    """Its definition may name other targets only, or other regions."""
    return (
        f"give the definition of {image} the target aws, with {environment.home_region} in distribution.aws.regions;"
        f" then 'bakery run {image}' and 'bakery promote {image} VERSION {environment.channel}'"
        " (docs/how-to/run-against-aws.md)"
    )


def _image(catalog: Catalog, environment: Environment, name: str, arch: str) -> PublishedImage | None:
    entry = catalog.channel(name, arch, environment.channel)
    if entry is None:
        return None
    record = catalog.record(entry)
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
