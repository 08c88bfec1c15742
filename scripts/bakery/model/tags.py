"""The tags of a version: the same at every target, on images and on their snapshots."""

from typing import Protocol

from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Publication, RemoteBuild
from bakery.model.naming import full_name
from bakery.model.version import Versioned

SHA256 = "bakery:sha256"  # digest of the tested disk file, or the identity of a remote build
CONTENT = "bakery:raw-sha256"  # digest of the disk's bytes, which a snapshot has

Tags = dict[str, str]


class Facts(Versioned, Protocol):
    """The facts of a version that its tags name."""

    @property
    def os(self) -> str: ...
    @property
    def input_key(self) -> str: ...
    @property
    def commit(self) -> str: ...


def of_artifact(definition: ImageDefinition, artifact: Artifact) -> Tags:
    """All tags of a disk that was baked here."""
    return of_disk(definition, artifact, artifact.base, artifact.disk.sha256, artifact.disk.raw_sha256)


def of_disk(definition: ImageDefinition, facts: Facts, base: Base, sha256: str, raw_sha256: str) -> Tags:
    """All tags of a version from its facts, the base of its disk, and the digests of the disk."""
    common = _common_tags(facts, f"{base.name} {base.version}".strip())
    return _merge_tags(definition, {**common, SHA256: sha256, CONTENT: raw_sha256})


def of_build(definition: ImageDefinition, build: RemoteBuild) -> Tags:
    """All tags of an image that Packer built at a target."""
    return of_image(definition, build, build.base, build.identity)


def of_image(definition: ImageDefinition, facts: Facts, base: str, identity: str) -> Tags:
    """All tags of a version that Packer built at a target, from its facts, its base there and its identity."""
    return _merge_tags(definition, {**_common_tags(facts, base), SHA256: identity})


def of_publication(publication: Publication) -> Tags:
    """The tags that every image and snapshot of a publication must have, even if the definition changed since."""
    return {**identity(publication), SHA256: publication.sha256}


def identity(of: Versioned) -> Tags:
    """The tags that are known before a build. Packer tags its images with them."""
    return {"Name": full_name(of), "bakery:image": of.image, "bakery:version": of.version, "bakery:arch": of.arch}


def wrong(have: Tags, want: Tags) -> Tags:
    """The expected tags that are absent or different."""
    return {key: value for key, value in want.items() if have.get(key) != value}


def _common_tags(part: Facts, base: str) -> Tags:
    return {
        **identity(part),
        "bakery:os": part.os,
        "bakery:base": base,
        "bakery:input-key": part.input_key,
        "bakery:commit": part.commit,
    }


def _merge_tags(definition: ImageDefinition, facts: Tags) -> Tags:
    """Merge tags: the definition's tags cannot replace the bakery's, and empty values are omitted."""
    return {**definition.tags, **{key: value for key, value in facts.items() if value}}
