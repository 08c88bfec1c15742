"""Questions about the whole catalog: its versions, which one has an identity, and which were built on another one."""

from collections.abc import Sequence
from functools import cached_property

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


class Lineage:
    """The versions that were built on others, as the catalog is at the first question.

    Reads each record at most once, however many versions are asked about. Those without an entry in the index are all
    read.
    """

    def __init__(self, catalog: Catalog, arch: str) -> None:
        self._catalog = catalog
        self._arch = arch
        self._records: dict[ImageVersion, Record] = {}

    def find_descendants(self, record: Record) -> list[Record]:
        """Versions of other images that were built on this one's content, and those built on them, as far as in use.

        A version is not in use any more when it is revoked or removed and its images are, too. Versions behind such a
        one count.
        """
        lineage = [record]
        for parent in lineage:  # grows meanwhile
            lineage += [child for child in self._read_children(parent) if child not in lineage]
        return [version for version in lineage[1:] if _is_in_use(version)]

    def _read_children(self, parent: Record) -> list[Record]:
        digests = {digest_of(parent.raw_sha256), digest_of(parent.content)}
        candidates = [version for version, bases in self._bases.items() if bases is None or digests & bases]
        unread = [version for version in candidates if version not in self._records]
        self._records.update(zip(unread, read_all(unread, self._catalog.record), strict=True))
        return [child for version in candidates if _is_child(child := self._records[version], parent)]

    @cached_property
    def _bases(self) -> dict[ImageVersion, set[str] | None]:
        """The digests of what each version may be built on; None for a version without an entry in the index."""
        images = [(name, self._arch) for name in self._catalog.image_names()]
        with threads(1) as submit:
            listing = submit(self._catalog.index.bases)  # page by page: as long as the versions of all images
            versions = _list_versions(self._catalog, images)
            bases: dict[ImageVersion, set[str]] = listing.result()
        return {version: bases.get(version) for version in versions}


def find_descendants(catalog: Catalog, record: Record) -> list[Record]:
    """The descendants of one version, as `Lineage` finds them."""
    return Lineage(catalog, record.arch).find_descendants(record)


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
