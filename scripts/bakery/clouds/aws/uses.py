"""The users of an image: machines, launch templates and parameters that refer to it, and its last start.

Source: EC2 user guide, "Identify your resources referencing specified AMIs". AWS looks for references in the account
that asks, with the caller's own rights. It reports a start by any account, to the owner only, a day later. Recipes of
Image Builder are not looked for.
"""

from collections.abc import Iterator
from typing import Any

from bakery.clouds.aws import images
from bakery.clouds.aws.calls import explain_errors, is_denied
from bakery.clouds.aws.clients import EC2Client
from bakery.clouds.aws.names import channel_parameter, version_parameter
from bakery.clouds.aws.session import location_name
from bakery.clouds.target import Use
from bakery.host.errors import BakeryError
from bakery.model.documents import Location
from bakery.model.version import Versioned

KINDS = {"ec2:Instance": "instance", "ec2:LaunchTemplate": "launch template", "ssm:Parameter": "parameter"}
# Of the states of a machine, those from which it can run again: a machine that is shut down for good does not.
LIVING = ("pending", "running", "stopping", "stopped")
# A template counts by its newest versions, which is AWS's default. Old ones stay in most templates for ever, and would
# keep every image that a group ever had.
TEMPLATE_VERSIONS = 10


def find_references(ec2: EC2Client, location: Location, image_id: str, of: Versioned, stack: str) -> list[Use]:
    """The users of an image in an account and region, except the bakery's own parameters of this image.

    `stack` gives the role there its rights; the error says so.
    """
    where = location_name(location)
    try:
        with explain_errors(f"look for uses of {image_id}", where):
            pages = ec2.get_paginator("describe_image_references").paginate(
                ImageIds=[image_id], ResourceTypes=_resource_types()
            )
            references = [reference for page in pages for reference in page["ImageReferences"]]
    except BakeryError as error:
        if is_denied(error):
            error.hint = (
                f"the role needs ec2:DescribeImageReferences and, through it, the rights to describe what it finds: "
                f"the stack '{stack}' gives them (bakery apply {stack})"
            )
        raise
    uses = [Use(where, KINDS[one["ResourceType"]], _resource_name(one["Arn"]), image_id) for one in references]
    return [use for use in uses if not _is_ours(use, of)]


def find_launch(ec2: EC2Client, location: Location, image_id: str) -> Iterator[Use]:
    """The last start of an own image, if AWS knows of one."""
    image = images.by_id(ec2, image_id)
    if image and (at := image.get("LastLaunchedTime")):
        yield Use(location_name(location), "launch", "", image_id, at)


def _resource_types() -> list[Any]:
    options = {
        "ec2:Instance": [{"OptionName": "state-name", "OptionValues": list(LIVING)}],
        "ec2:LaunchTemplate": [{"OptionName": "version-depth", "OptionValues": [str(TEMPLATE_VERSIONS)]}],
    }
    named = [{"ResourceType": kind, "ResourceTypeOptions": values} for kind, values in options.items()]
    return [*named, {"ResourceType": "ssm:Parameter"}]


def _resource_name(arn: str) -> str:
    """The ID or the name at the end of an ARN. A name in folders begins with a slash, which the ARN leaves out."""
    name = arn.split(":", 5)[5].partition("/")[2]
    return f"/{name}" if "/" in name else name


def _is_ours(use: Use, of: Versioned) -> bool:
    """Whether it is the parameter of the version itself, or of a channel of its image."""
    channels = channel_parameter(of, "")
    return use.kind == "parameter" and (use.name == version_parameter(of) or use.name.startswith(channels))
