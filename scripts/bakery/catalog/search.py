"""Questions about the whole catalog: its versions, which one has an identity, and which were built on another one."""

from collections.abc import Sequence

from bakery.catalog.catalog import Catalog
from bakery.catalog.index import Lead, digest_of
from bakery.catalog.keys import VERSION, version_numbers
from bakery.catalog.record import ListedVersion, Record
from bakery.catalog.store import read_all
from bakery.host.errors import NotFoundError
from bakery.host.parallel import threads
from bakery.model.inputs import PARENT
from bakery.model.version import ImageVersion


def list_versions(catalog: Catalog, images: Sequence[tuple[str, str]]) -> list[ListedVersion]:
    """All versions of images, oldest first, one image after the other, with the channels that point at each."""
    channels = [
        (*image, name)
        for image, names in zip(images, read_all(images, lambda of: catalog.channel_names(*of)), strict=True)
        for name in names
    ]
    pointing: dict[ImageVersion, list[str]] = {}
    for entry in filter(None, read_all(channels, lambda channel: catalog.channel(*channel))):
        pointing.setdefault(ImageVersion.of(entry), []).append(entry.channel)
    records = read_all(_list_versions(catalog, images), catalog.record)
    return [ListedVersion.of(record, pointing.get(ImageVersion.of(record), ())) for record in records]


def find_identity(catalog: Catalog, identity: str) -> Record | None:
    """The version with the ID of an image or snapshot, a digest or a pointer; None if no version has it.

    A pointer of a channel gives the version that the channel points at now. Without an entry in the index, all records
    are read.
    """
    for lead in sorted(catalog.index.leads(identity), key=_rank_lead):
        if record := _follow_lead(catalog, lead, identity):
            return record
    images = catalog.images()
    channels = [
        Lead(image, arch, channel)
        for (image, arch), names in zip(images, read_all(images, lambda of: catalog.channel_names(*of)), strict=True)
        for channel in names
    ]
    leads = [*channels, *(Lead(of.image, of.arch, of.version) for of in _list_versions(catalog, images))]
    records = read_all(sorted(leads, key=_rank_lead), lambda lead: _follow_lead(catalog, lead, identity))
    return next(filter(None, records), None)


def find_descendants(catalog: Catalog, record: Record) -> list[Record]:
    """Versions of other images that were built on this one's content, and those built on them, as far as in use.

    A version is not in use any more when it is revoked or removed and its images are, too. Versions behind such a one
    count.

    Versions without an entry in the index are read.
    """
    images = [(name, record.arch) for name in catalog.image_names()]
    with threads(1) as submit:
        listing = submit(catalog.index.bases)  # page by page, which takes as long as the versions of all images
        versions = _list_versions(catalog, images)
        bases: dict[ImageVersion, set[str]] = listing.result()
    candidates: dict[ImageVersion, Record] = {}

    def read_candidates(selected: Sequence[ImageVersion]) -> None:
        candidates.update(zip(selected, read_all(selected, catalog.record), strict=True))

    read_candidates([version for version in versions if version not in bases])
    lineage = [record]
    for parent in lineage:  # grows meanwhile
        digests = {digest_of(parent.raw_sha256), digest_of(parent.content)}
        read_candidates(
            [version for version in versions if version not in candidates and digests & bases.get(version, set())]
        )
        lineage += [
            candidates[version]
            for version in versions
            if version in candidates and _is_child(candidates[version], parent) and candidates[version] not in lineage
        ]
    return [version for version in lineage[1:] if _is_in_use(version)]


def _is_child(record: Record, parent: Record) -> bool:
    """Whether a version was built on another one's content; a reserved one has none yet."""
    return record.state != "reserved" and parent.is_base(record.inputs.get(PARENT, ""))


def _is_in_use(record: Record) -> bool:
    return record.state in ("complete", "deprecated", "disabled") or (record.state == "revoked" and record.pending)


def _follow_lead(catalog: Catalog, lead: Lead, identity: str) -> Record | None:
    """The version that a lead names, or that its channel points at, if that has the identity."""
    try:
        if VERSION.match(lead.name):
            record = catalog.record(ImageVersion(lead.image, lead.arch, lead.name))
            return record if identity in record.identities else None
        entry = catalog.channel(lead.image, lead.arch, lead.name)
        if entry and identity in (pointer.name for pointer in entry.pointers):
            return catalog.record(entry)
    except NotFoundError:  # the writer ended before it wrote the record
        pass
    return None


def _rank_lead(lead: Lead) -> tuple[object, ...]:
    """Channels first, then the newest version: several may have one digest."""
    if VERSION.match(lead.name):
        return 1, lead.image, lead.arch, tuple(-number for number in version_numbers(lead.name))
    return 0, lead.image, lead.arch, lead.name


def _list_versions(catalog: Catalog, images: Sequence[tuple[str, str]]) -> list[ImageVersion]:
    """All versions of images, oldest first, one image after the other."""
    return [
        ImageVersion(image, arch, version)
        for (image, arch), versions in zip(images, read_all(images, lambda of: catalog.versions(*of)), strict=True)
        for version in versions
    ]
