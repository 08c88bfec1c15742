"""Compare every region of a publication with what Azure has now."""

from collections.abc import Iterator

from azure.mgmt.compute.models import GalleryImageVersion

from bakery.clouds.azure import replication, retirement, versions
from bakery.clouds.azure.calls import enum_text
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import AzureSession
from bakery.clouds.target import Finding
from bakery.host.errors import BakeryError
from bakery.model import tags
from bakery.model.documents import Availability, ImageLocation, Publication


def inspect(session: AzureSession, publication: Publication, availability: Availability) -> list[Finding]:
    """Check that the version exists with the right tags, is as available as it should be, and has its replicas."""
    resource = publication.locations[0].id
    try:
        version = versions.find(session, GalleryVersion.parse(resource))
    except BakeryError as error:
        return [Finding(resource, "unreachable", f"{error.message}: {error.detail}")]
    if availability == "removed":
        return [Finding(resource, "unexpected", "it is not removed") if version else Finding(resource, "correct")]
    if version is None:
        return [Finding(resource, "missing", "no such version")]
    fault = retirement.find_fault(version, availability)
    return [
        _inspect_tags(publication, version),
        Finding(f"{resource} {availability}", "incorrect" if fault else "correct", fault),
        *_inspect_locations(publication, version),
    ]


def _inspect_tags(publication: Publication, version: GalleryImageVersion) -> Finding:
    actual = dict(version.tags or {})
    wrong = tags.wrong(actual, tags.of_publication(publication))
    detail = "; ".join(f"{key} is {actual.get(key, 'not set')}, expected {value}" for key, value in wrong.items())
    return Finding(f"{publication.locations[0].id} tags", "incorrect" if wrong else "correct", detail)


def _inspect_locations(publication: Publication, version: GalleryImageVersion) -> Iterator[Finding]:
    for location in publication.locations:
        yield _inspect_location(location, version)


def _inspect_location(location: ImageLocation, version: GalleryImageVersion) -> Finding:
    label = f"{location.region} {location.id}"
    replica = replication.replicas(version).get(location.region)
    if replica is None:
        return Finding(label, "missing", "no replica")
    if replica.state != "Completed":
        return Finding(label, "incorrect", f"the replica is {enum_text(replica.state)}, expected Completed")
    return Finding(label, "correct")
