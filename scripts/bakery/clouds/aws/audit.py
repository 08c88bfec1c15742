"""Compare every image and pointer of a publication with what AWS has now."""

from collections.abc import Iterator, Mapping, Sequence

from bakery.clouds.aws import consumer_tags, images, lifecycle, parameters, snapshots, tagging
from bakery.clouds.aws.clients import EC2Client, Image, LaunchPermission, VolumePermission
from bakery.clouds.aws.session import SsmEndpoint, location_name
from bakery.clouds.target import Finding, Status
from bakery.host.errors import BakeryError
from bakery.model import tags
from bakery.model.documents import Availability, ImageLocation, Pointer, Publication


def inspect_location(
    ec2: EC2Client, publication: Publication, location: ImageLocation, availability: Availability
) -> list[Finding]:
    """Check that an image is as its availability says, and that its tags, its snapshot's tags and its shares are right.

    A withdrawn image may be gone, and only its state and its shares matter.
    """
    label = f"{location.account}/{location.region} {location.id}"
    try:
        image = images.by_id(ec2, location.id)
        if availability == "removed":
            return list(_inspect_remains(ec2, location, image, label))
        withdrawn = location in publication.withdrawn
        if image is None:
            return [] if withdrawn else [Finding(label, "missing", "no such image")]
        findings = [Finding(label, *_compare_state(image, availability))]
        if not withdrawn:
            findings += _inspect_tags(ec2, publication, location, tagging.from_aws(image), label)
        if availability == "disabled":
            findings += _inspect_privacy(ec2, image, label)
        elif not withdrawn:
            findings.append(Finding(f"{label} launch permissions", *_compare_shares(ec2, publication, location)))
        return findings
    except BakeryError as error:
        return [Finding(label, "unreachable", f"{error.message}: {error.detail}")]


def inspect_parameter(endpoint: SsmEndpoint, expected: Pointer) -> Finding:
    """Check that a pointer exists, has the right type, and holds the image ID."""
    label = f"{endpoint} {expected.name}"
    try:
        current = parameters.read(endpoint, expected.name)
    except BakeryError as error:
        return Finding(label, "unreachable" if error.__cause__ else "incorrect", f"{error.message}: {error.detail}")
    if current is None:
        return Finding(label, "missing", f"expected {expected.value}")
    return Finding(label, *_compare_values(expected.value, current.value, "its value"))


def inspect_consumer_tags(ec2: EC2Client, publication: Publication, location: ImageLocation) -> list[Finding]:
    """Check the tags that a consumer account has on the image; nothing if it does not see it, as the shares tell."""
    where = location_name(location.location)
    label = f"{where} {location.id} tags"
    try:
        image = consumer_tags.look(ec2, location.id, where)
    except BakeryError as error:
        return [Finding(label, "unreachable", f"{error.message}: {error.detail}", harmless=True)]
    if image is None:
        return []
    return [Finding(label, *_compare_tags(tagging.from_aws(image), tags.of_publication(publication)), harmless=True)]


def report_unreachable(locations: Mapping[str, BakeryError], *, harmless: bool = False) -> Iterator[Finding]:
    """Report the accounts that could not be checked."""
    return (
        Finding(location, "unreachable", f"{error.message}: {error.detail}", harmless)
        for location, error in locations.items()
    )


def _compare_state(image: Image, availability: Availability) -> tuple[Status, str]:
    """Compare the state; a deprecated image is available to AWS, and a deprecation in the future is somebody's plan."""
    status, detail = _compare_values("disabled" if availability == "disabled" else "available", image["State"], "it")
    if status != "correct" or availability == "disabled":
        return status, detail
    at = image.get("DeprecationTime", "")
    if availability == "deprecated":
        since = f"its deprecation time is {at or 'not set'}, expected one that has come"
        return ("correct", "") if lifecycle.is_deprecated(image) else ("incorrect", since)
    return ("incorrect", f"it is deprecated since {at}") if lifecycle.is_deprecated(image) else ("correct", "")


def _inspect_remains(ec2: EC2Client, location: ImageLocation, image: Image | None, label: str) -> Iterator[Finding]:
    """Report an image or a snapshot that should be removed."""
    exists = image is not None and image["State"] != "deregistered"
    yield Finding(label, *_compare_remains(exists, "the image"))
    yield Finding(
        f"{label} snapshot", *_compare_remains(snapshots.by_id(ec2, location.snapshot) is not None, location.snapshot)
    )


def _compare_remains(exists: bool, name: str) -> tuple[Status, str]:
    return ("unexpected", f"{name} still exists") if exists else ("correct", "")


def _inspect_privacy(ec2: EC2Client, image: Image, label: str) -> Iterator[Finding]:
    """Report everybody whom an image or its snapshots are shared with."""
    yield Finding(f"{label} launch permissions", *_compare_grants(images.launch_grants(ec2, image["ImageId"])))
    for snapshot in images.snapshots_of(image):
        yield Finding(f"{label} {snapshot} permissions", *_compare_grants(images.volume_grants(ec2, snapshot)))


def _compare_grants(grants: Sequence[LaunchPermission | VolumePermission]) -> tuple[Status, str]:
    names = sorted(str(name) for grant in grants for name in grant.values())
    return ("unexpected", f"shared with {', '.join(names)}, expected nobody") if names else ("correct", "")


def _inspect_tags(
    ec2: EC2Client, publication: Publication, location: ImageLocation, image_tags: tags.Tags, label: str
) -> Iterator[Finding]:
    expected = tags.of_publication(publication)
    yield Finding(f"{label} tags", *_compare_tags(image_tags, expected))
    snapshot = snapshots.by_id(ec2, location.snapshot)
    if snapshot:
        yield Finding(f"{label} snapshot tags", *_compare_tags(tagging.from_aws(snapshot), expected))
    else:
        yield Finding(f"{label} snapshot tags", "missing", f"no snapshot {location.snapshot}")


def _compare_tags(actual: tags.Tags, expected: tags.Tags) -> tuple[Status, str]:
    wrong = tags.wrong(actual, expected)
    detail = "; ".join(f"{key} is {actual.get(key, 'not set')}, expected {value}" for key, value in wrong.items())
    return ("incorrect" if wrong else "correct"), detail


def _compare_shares(ec2: EC2Client, publication: Publication, location: ImageLocation) -> tuple[Status, str]:
    """Report accounts that were added by hand, but not as an error: the image can be used."""
    consumers = (consumer for consumer in publication.locations if not consumer.owned)
    expected = {consumer.account for consumer in consumers if consumer.region == location.region}
    actual = images.launch_accounts(ec2, location.id)
    if expected - actual:
        return "incorrect", f"not shared with {', '.join(sorted(expected - actual))}"
    return "correct", f"also shared with {', '.join(sorted(actual - expected))}" if actual - expected else ""


def _compare_values(expected: str, actual: str, name: str) -> tuple[Status, str]:
    return ("correct", "") if expected == actual else ("incorrect", f"{name} is {actual}, expected {expected}")
