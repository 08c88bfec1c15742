"""Expected against seen, for every region of a publication."""

from collections.abc import Iterator

from azure.mgmt.compute.models import GalleryImageVersion

from bakery.clouds.azure import replication, versions
from bakery.clouds.azure.calls import word
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import Session
from bakery.clouds.target import Finding
from bakery.host.errors import BakeryError
from bakery.model import tags
from bakery.model.documents import Place, Publication


def inspect(session: Session, publication: Publication) -> list[Finding]:
    """That the version is there with the right tags, and can be used in each region."""
    resource = publication.places[0].id
    try:
        found = versions.find(session, GalleryVersion.parse(resource))
    except BakeryError as error:
        return [Finding(resource, "unreachable", f"{error.message}: {error.detail}")]
    if found is None:
        return [Finding(resource, "missing", "no such version")]
    return [_inspect_tags(publication, found), *_inspect_places(publication, found)]


def _inspect_tags(publication: Publication, found: GalleryImageVersion) -> Finding:
    have = dict(found.tags or {})
    wrong = tags.wrong(have, tags.of_publication(publication))
    detail = "; ".join(f"{key} is {have.get(key, 'not set')}, expected {value}" for key, value in wrong.items())
    return Finding(f"{publication.places[0].id} tags", "incorrect" if wrong else "correct", detail)


def _inspect_places(publication: Publication, found: GalleryImageVersion) -> Iterator[Finding]:
    for place in publication.places:
        yield _inspect_place(place, found)


def _inspect_place(place: Place, found: GalleryImageVersion) -> Finding:
    label = f"{place.region} {place.id}"
    replica = replication.replicas(found).get(place.region)
    if replica is None:
        return Finding(label, "missing", "no replica")
    if replica.state != "Completed":
        return Finding(label, "incorrect", f"its replica is {word(replica.state)}, expected Completed")
    return Finding(label, "correct")
