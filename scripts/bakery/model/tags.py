"""The tags of a version: the same at every target, on images and on their snapshots."""

from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Publication, RemoteBuild
from bakery.model.naming import full_name
from bakery.model.version import Versioned

SHA256 = "bakery:sha256"  # digest of the tested disk file, or the identity of a remote build
CONTENT = "bakery:raw-sha256"  # digest of the disk's bytes, which a snapshot has

Tags = dict[str, str]


def of_artifact(definition: ImageDefinition, artifact: Artifact) -> Tags:
    """All tags of a disk that was baked here."""
    base = f"{artifact.base.name} {artifact.base.version}".strip()
    facts = {**_common_tags(artifact, base), SHA256: artifact.disk.sha256, CONTENT: artifact.disk.raw_sha256}
    return _merge_tags(definition, facts)


def of_build(definition: ImageDefinition, build: RemoteBuild) -> Tags:
    """All tags of an image that Packer built at a target."""
    return _merge_tags(definition, {**_common_tags(build, build.base), SHA256: build.identity})


def of_publication(publication: Publication) -> Tags:
    """The tags that every image and snapshot of a publication must have, even if the definition changed since."""
    return {**identity(publication), SHA256: publication.sha256}


def identity(of: Versioned) -> Tags:
    """The tags that are known before a build. Packer tags its images with them."""
    return {"Name": full_name(of), "bakery:image": of.image, "bakery:version": of.version, "bakery:arch": of.arch}


def wrong(have: Tags, want: Tags) -> Tags:
    """The expected tags that are absent or different."""
    return {key: value for key, value in want.items() if have.get(key) != value}


def _common_tags(part: Artifact | RemoteBuild, base: str) -> Tags:
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
