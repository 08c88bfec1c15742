"""The tags of images and snapshots: what they say of a version, and that they say it everywhere."""

from collections.abc import Mapping
from typing import Any

from bakery.definition import ImageDefinition
from bakery.documents import Artifact, Publication
from bakery.publish.aws.calls import calling
from bakery.publish.naming import Versioned, full_name

SHA256 = "bakery:sha256"  # of the disk file that was tested
CONTENT = "bakery:raw-sha256"  # of the disk's bytes, which are what a snapshot holds

Tags = dict[str, str]


def of_artifact(definition: ImageDefinition, artifact: Artifact) -> Tags:
    """The whole set, for images and snapshots alike. The definition's own tags cannot hide ours."""
    ours = {
        **_identity(artifact, artifact.disk.sha256),
        CONTENT: artifact.disk.raw_sha256,
        "bakery:os": artifact.os,
        "bakery:arch": artifact.arch,
        "bakery:base": f"{artifact.base.name} {artifact.base.version}".strip(),
        "bakery:input-key": artifact.input_key,
        "bakery:commit": artifact.commit,
    }
    return {**definition.tags, **{key: value for key, value in ours.items() if value}}


def of_publication(publication: Publication) -> Tags:
    """What every image and snapshot of a publication must carry, whatever the definition says by now."""
    return _identity(publication, publication.sha256)


def wrong(have: Tags, want: Tags) -> Tags:
    """The wanted tags that are absent or different."""
    return {key: value for key, value in want.items() if have.get(key) != value}


def repair(ec2: Any, resources: Mapping[str, Tags], want: Tags) -> None:
    """Set what is wrong; `resources` are the tags that each ID has now. Writes nothing when all is right."""
    for resource, have in resources.items():
        if missing := wrong(have, want):
            with calling(f"tag {resource}", ec2.meta.region_name):
                ec2.create_tags(Resources=[resource], Tags=to_aws(missing))


def to_aws(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def from_aws(resource: Mapping[str, Any]) -> Tags:
    """The tags of a described image or snapshot."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", ())}


def specifications(tags: Tags, *kinds: str) -> list[dict[str, Any]]:
    """For calls that tag what they create."""
    return [{"ResourceType": kind, "Tags": to_aws(tags)} for kind in kinds]


def _identity(of: Versioned, sha256: str) -> Tags:
    return {"Name": full_name(of), "bakery:image": of.image, "bakery:version": of.version, SHA256: sha256}
