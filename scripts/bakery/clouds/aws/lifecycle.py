"""The life of published images: deprecated, disabled, available again, removed.

Every step looks at the image before it changes it, so a rerun does only what is left. Facts are from the EC2 API
reference, pages EnableImageDeprecation, DisableImage, EnableImage and DeregisterImage.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bakery.clouds.aws import images, snapshots, tagging
from bakery.clouds.aws.calls import do_all, explain_errors, raise_failures, try_all, watch
from bakery.clouds.aws.clients import EC2Client, Image
from bakery.clouds.target import gone_error
from bakery.host.errors import BakeryError, ConflictError
from bakery.model.documents import Availability, ImageLocation, Publication
from bakery.model.naming import full_name
from bakery.model.tags import SHA256

# AWS takes no time in the past and rounds to the minute: the whole minute before this is one to two minutes ahead.
DEPRECATION_LEAD = timedelta(minutes=2)
UNPROTECTED = "disabled"  # as DescribeImages shows it
COOLING = "disabled after "  # and before a time: the protection is taken off, and still holds until then

Clients = Mapping[str, EC2Client]  # by region
OwnImages = Mapping[str, ImageLocation]  # by region


def change_everywhere(
    ec2: Clients, publication: Publication, own_images: OwnImages, availability: Availability
) -> None:
    """Bring images that stay to an availability, in all regions at once.

    NotFoundError names the regions that have lost the image; a withdrawn image may be gone.
    """

    def change(location: ImageLocation) -> bool:
        client = ec2[location.region]
        image = find_image(client, publication, location)
        if image:
            _CHANGES[availability](client, image)
        return image is not None

    name = full_name(publication)
    present, failures = try_all(own_images, change)
    raise_failures(f"make {name} {availability}", failures, done=[region for region in present if present[region]])
    losses = [region for region in present if not present[region] and own_images[region] not in publication.withdrawn]
    if losses:
        raise gone_error(f"the image of {name} is gone", ", ".join(losses), publication.image)


def find_image(ec2: EC2Client, publication: Publication, location: ImageLocation) -> Image | None:
    """The image of a location, or None; ConflictError if it is not of this version."""
    image = images.by_id(ec2, location.id)
    if image is None or image["State"] == "deregistered":
        return None
    images.refuse_foreign(ec2, image, publication.sha256)
    return image


def is_deprecated(image: Image) -> bool:
    """Whether the deprecation time of an image has come, or comes as soon as `deprecate` would set it."""
    at = image.get("DeprecationTime")
    return at is not None and datetime.fromisoformat(at) <= datetime.now(UTC) + DEPRECATION_LEAD


def _make_available(ec2: EC2Client, image: Image) -> None:
    _enable(ec2, image)
    if "DeprecationTime" in image:
        with explain_errors(f"end the deprecation of {image['ImageId']}", ec2.meta.region_name):
            ec2.disable_image_deprecation(ImageId=image["ImageId"])


def _deprecate(ec2: EC2Client, image: Image) -> None:
    _enable(ec2, image)
    if not is_deprecated(image):
        at = (datetime.now(UTC) + DEPRECATION_LEAD).replace(second=0, microsecond=0)
        with explain_errors(f"deprecate {image['ImageId']}", ec2.meta.region_name):
            ec2.enable_image_deprecation(ImageId=image["ImageId"], DeprecateAt=at)


def _disable(ec2: EC2Client, image: Image) -> None:
    """Disabling takes launch permissions, but leaves those of the snapshots: all are taken back before."""
    images.unshare_all(ec2, image)
    if image["State"] != "disabled":
        with explain_errors(f"disable {image['ImageId']}", ec2.meta.region_name):
            ec2.disable_image(ImageId=image["ImageId"])
    _wait_for(ec2, image["ImageId"], "disabled")


def _enable(ec2: EC2Client, image: Image) -> None:
    if image["State"] == "disabled":
        with explain_errors(f"enable {image['ImageId']}", ec2.meta.region_name):
            ec2.enable_image(ImageId=image["ImageId"])
    _wait_for(ec2, image["ImageId"], "available")


def _wait_for(ec2: EC2Client, image_id: str, state: str) -> None:
    """Wait until an image has a state: for a while, AWS may show the one before."""
    moving = (images.MOVING | {"available", "disabled"}) - {state}
    image = watch(lambda: images.by_id(ec2, image_id), moving, images.AVAILABLE_SECONDS)
    if image is None or image["State"] != state:
        raise images.unusable_error(ec2, image_id, image)


_CHANGES: Mapping[Availability, Callable[[EC2Client, Image], None]] = {
    "available": _make_available,
    "deprecated": _deprecate,
    "disabled": _disable,
}


@dataclass(frozen=True)
class _Remains:
    """The rest of a version in one region: its image, or the snapshot of an image that is gone."""

    ec2: EC2Client
    image: Image | None
    snapshot: str


def remove_everywhere(ec2: Clients, publication: Publication, own_images: OwnImages) -> None:
    """Deregister the images and delete their snapshots; nothing is removed unless all of them may go.

    They are gone for good, except where a rule of the Recycle Bin keeps them for a while. The parameter of the version
    stays in every account: the policies of the stacks let no role of the bakery delete it.
    """
    remains = do_all(
        "look for images", own_images, lambda location: _find_remains(ec2[location.region], publication, location)
    )
    _refuse_protected(publication, remains)
    results, failures = try_all(remains, _remove)
    raise_failures(f"remove {full_name(publication)}", failures, done=results)


def _find_remains(ec2: EC2Client, publication: Publication, location: ImageLocation) -> _Remains:
    image = find_image(ec2, publication, location)
    # Another run may have been killed after it deregistered the image.
    snapshot = None if image else snapshots.by_id(ec2, location.snapshot)
    if snapshot and tagging.from_aws(snapshot).get(SHA256) != publication.sha256:
        raise ConflictError(
            f"{location.snapshot} is not of {full_name(publication)}: its tag {SHA256} is another, or not set",
            where=location.region,
            hint="delete it if it is unused",
        )
    return _Remains(ec2, image, location.snapshot if snapshot else "")


def _refuse_protected(publication: Publication, remains: Mapping[str, _Remains]) -> None:
    """Raise an error if somebody has protected one of the images: that person meant to keep it."""
    states = {
        (region, one.image["ImageId"]): one.image.get("DeregistrationProtection", UNPROTECTED)
        for region, one in remains.items()
        if one.image
    }
    protections = {key: state for key, state in states.items() if state != UNPROTECTED}
    if protections:
        steps = [_end_protection(region, image_id, state) for (region, image_id), state in protections.items()]
        raise BakeryError(
            f"{full_name(publication)} is protected from deregistration: nothing was removed",
            where=", ".join(region for region, _ in protections),
            detail="\n".join(f"{region} {image_id}: {state}" for (region, image_id), state in protections.items()),
            hint=f"if it may go: {'; '.join(steps)}",
        )


def _end_protection(region: str, image_id: str, state: str) -> str:
    """The way to end the protection of an image."""
    if state.startswith(COOLING):
        return f"wait until {state.removeprefix(COOLING)}, then run again"
    return f"run 'aws ec2 disable-image-deregistration-protection --region {region} --image-id {image_id}'"


def _remove(remains: _Remains) -> None:
    if remains.image:
        images.remove(remains.ec2, remains.image)
    elif remains.snapshot:
        snapshots.remove(remains.ec2, remains.snapshot)
