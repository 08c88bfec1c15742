"""Compare every image and pointer of a publication with what AWS has now."""

from collections.abc import Iterator, Mapping

from bakery.clouds.aws import images, parameters, snapshots, tagging
from bakery.clouds.aws.clients import EC2Client
from bakery.clouds.aws.session import SsmEndpoint
from bakery.clouds.target import Finding, Status
from bakery.host.errors import BakeryError
from bakery.model import tags
from bakery.model.documents import ImageLocation, Pointer, Publication


def inspect_location(ec2: EC2Client, publication: Publication, location: ImageLocation) -> list[Finding]:
    """Check that an image is usable, and that its tags, its snapshot's tags and its shares are right."""
    label = f"{location.account}/{location.region} {location.id}"
    try:
        image = images.by_id(ec2, location.id)
        if image is None:
            return [Finding(label, "missing", "no such image")]
        return [
            Finding(label, *_compare_values("available", image["State"], "it")),
            *_inspect_tags(ec2, publication, location, tagging.from_aws(image), label),
            Finding(f"{label} launch permissions", *_compare_shares(ec2, publication, location)),
        ]
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


def report_unreachable(locations: Mapping[str, BakeryError]) -> Iterator[Finding]:
    """Report the accounts that could not be checked."""
    return (
        Finding(location, "unreachable", f"{error.message}: {error.detail}") for location, error in locations.items()
    )


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
