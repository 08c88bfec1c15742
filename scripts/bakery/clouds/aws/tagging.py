"""Write the tags of an image at AWS, and repair them; `model/tags.py` decides which tags an image has."""

from collections.abc import Mapping
from typing import Any, Literal

from bakery.clouds.aws.calls import explain_errors
from bakery.clouds.aws.clients import EC2Client, Tag, TagSpecification
from bakery.model.tags import Tags, wrong


def repair(ec2: EC2Client, resources: Mapping[str, Tags], expected: Tags) -> None:
    """Correct tags; `resources` are the current tags by ID. Writes nothing if all are right."""
    for resource, actual in resources.items():
        if missing := wrong(actual, expected):
            with explain_errors(f"tag {resource}", ec2.meta.region_name):
                ec2.create_tags(Resources=[resource], Tags=to_aws(missing))


def to_aws(tags: Tags) -> list[Tag]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def from_aws(resource: Mapping[str, Any]) -> Tags:
    """The tags of a described image or snapshot."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", ())}


def specifications(tags: Tags, *kinds: Literal["image", "snapshot"]) -> list[TagSpecification]:
    """The argument of calls that tag the resources that they create."""
    return [{"ResourceType": kind, "Tags": to_aws(tags)} for kind in kinds]
