"""Everything that the catalog knows of one version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bakery.catalog import VERSION, Catalog, Record
from bakery.catalog.search import find_descendants, find_identity
from bakery.contents.comparison import Comparison, compare_versions
from bakery.engine.vulnerabilities import compare_known_vulnerabilities
from bakery.host.errors import NotFoundError, UnknownNameError, suggest
from bakery.model.contents import Contents, SbomFormat
from bakery.model.documents import Base, Strict
from bakery.model.project import Project
from bakery.model.version import ImageVersion


@dataclass(frozen=True)
class Overview(Strict):
    """A version, the channels that point at it, its lineage in both directions, and its contents if they were read.

    `ancestors` begins with what it was built on; `descendants` were built on it.
    """

    record: Record
    channels: tuple[str, ...]
    ancestors: tuple[Base, ...]
    descendants: tuple[Base, ...]
    contents: Contents | None
    schema: Literal["bakery/overview/1"] = "bakery/overview/1"


def find_record(catalog: Catalog, name: str, arch: str) -> Record:
    """The record that IMAGE, IMAGE@VERSION, IMAGE@CHANNEL, or an identity of a version names.

    An identity is the ID of an image at a target, a digest, or the name of a parameter. IMAGE alone is the newest
    complete version.
    """
    image, at, selector = name.partition("@")
    names = catalog.image_names()
    if image not in names:
        if record := find_identity(catalog, name):
            return record
        raise UnknownNameError(f"the catalog has no version named '{name}'", hint=hint_at_images(image, names))
    if VERSION.match(selector):
        return require_record(catalog, ImageVersion(image, arch, selector))
    if at:
        entry = catalog.channel(image, arch, selector)
        if entry is None:
            channels = ", ".join(catalog.channels(image, arch)) or "none"
            raise UnknownNameError(
                f"{image} has no version or channel '{selector}' ({arch})", hint=f"channels: {channels}"
            )
        return catalog.record(ImageVersion(image, arch, entry.version))
    record = catalog.newest(image, arch)
    if record is None:
        raise NotFoundError(f"{image} has no complete version ({arch})", hint="'bakery catalog' lists all versions")
    return record


def require_record(catalog: Catalog, of: ImageVersion) -> Record:
    """The record of a version that a person names; UnknownNameError if there is none."""
    versions = catalog.versions(of.image, of.arch)
    if not versions:
        raise unknown_image(catalog, of.image, of.arch)
    if of.version not in versions:
        hint = f"newest versions: {', '.join(versions[-5:])}"
        raise UnknownNameError(f"{of.image} {of.version} ({of.arch}) is not in the catalog", hint=hint)
    return catalog.record(of)


def unknown_image(catalog: Catalog, image: str, arch: str) -> UnknownNameError:
    """The error for an image of which the catalog has no version."""
    hint = hint_at_images(image, catalog.image_names())
    return UnknownNameError(f"{image} has no version ({arch})", where=catalog.location, hint=hint)


def hint_at_images(name: str, images: Sequence[str]) -> str:
    """A hint for a name that no image of the catalog has."""
    if not images:
        return f"the catalog is empty: 'bakery run {name}' makes a first version"
    return suggest(name, images) or f"images: {', '.join(images)}"


def find_previous(catalog: Catalog, record: Record) -> Record | None:
    """The newest complete version below a version; None if there is none."""
    versions = catalog.versions(record.image, record.arch)
    below = versions[: versions.index(record.version)]
    records = (catalog.record(ImageVersion(record.image, record.arch, version)) for version in reversed(below))
    return next((previous for previous in records if previous.state == "complete"), None)


def describe_version(catalog: Catalog, record: Record) -> Overview:
    """The version of a record with its channels, lineage and contents."""
    descendants = find_descendants(catalog, record)
    return Overview(
        record,
        channels=tuple(catalog.channels_at(record)),
        ancestors=tuple(_list_ancestors(catalog, record)),
        descendants=tuple(Base(child.image, child.version, child.sha256) for child in descendants),
        contents=catalog.contents(record),
    )


def read_sbom(catalog: Catalog, record: Record, name: SbomFormat) -> bytes:
    """A bill of materials of a version; NotFoundError if none was written."""
    sbom = catalog.sbom(record, name)
    if sbom is None:
        raise NotFoundError(
            f"{record.image} {record.version} has no bill of materials",
            hint="its disk was not read, or it is older than these documents: bake it again",
        )
    return sbom


def read_vex(catalog: Catalog, record: Record) -> bytes:
    """The OpenVEX document of a version; NotFoundError if it ignores no vulnerability."""
    vex = catalog.vex(record)
    if vex is None:
        raise NotFoundError(
            f"{record.image} {record.version} has no OpenVEX document",
            hint="it was baked without a gate, or ignores none of its vulnerabilities",
        )
    return vex


def compare_records(catalog: Catalog, before: Record, after: Record, project: Project) -> Comparison:
    """The differences between two versions of one architecture."""
    old, new = catalog.contents(before), catalog.contents(after)
    files = (catalog.files(before, old) if old else None, catalog.files(after, new) if new else None)
    vulnerabilities = compare_known_vulnerabilities(catalog, before, after, project)
    return compare_versions(before, after, (old, new), files, vulnerabilities)


def _list_ancestors(catalog: Catalog, record: Record) -> list[Base]:
    """The version's parent, the parent's parent and so on; ends with one that is not in the catalog."""
    ancestors = []
    base = record.base
    while base:
        ancestors.append(base)
        base = catalog.record(ImageVersion(base.name, record.arch, base.version)).base if base.version else None
    return ancestors
