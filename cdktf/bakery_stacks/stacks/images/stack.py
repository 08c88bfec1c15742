"""The images stack: one output with the images that the channel points at, checked against AWS.

The stack only reads the parameters, whose values belong to the bakery. No apply can move a pointer, and a plan fails if
catalog and AWS disagree.
"""

from collections.abc import Sequence
from typing import Any

from cdktf_cdktf_provider_aws.data_aws_s3_bucket import DataAwsS3Bucket
from cdktf_cdktf_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.image import check_pointer
from bakery_stacks.channel_images import ChannelImages, PublishedImage, RegionalImage
from bakery_stacks.config import Environment, Settings, bucket_name
from bakery_stacks.stacks.images.template import ImageTemplate


class ImagesStack(AwsStack):
    """Deployed after each publish or promotion; downstream Terraform reads its outputs."""

    def __init__(self, scope: Construct, settings: Settings, channel_images: ChannelImages | None) -> None:
        """`channel_images` is None if there is no catalog yet, which is not the same as an empty one."""
        super().__init__(scope, "images", settings)
        images = channel_images.images if channel_images else ()
        templates = add_images(self, images)
        if channel_images is None:
            # This fails the plan: a missing bucket must not remove outputs that others read.
            DataAwsS3Bucket(self, "made-by-the-distribution-stack", bucket=bucket_name(settings.catalog))
        description = "image -> architecture -> version, owner, and per region its ID and parameters"
        self.output("images", image_outputs(images, self.environment), description)
        if self.environment.launch_templates:
            description = "image -> architecture -> region -> ID and newest version of its launch template"
            self.output("launch_templates", templates, description)


def add_images(stack: AwsStack, images: Sequence[PublishedImage]) -> dict[str, Any]:
    """Check every image in every region. Return the outputs of launch templates, if the environment has them."""
    templates: dict[str, Any] = {}
    for image in images:
        for region, regional in image.regions.items():
            parameter = check_image(stack, image, region, regional)
            if stack.environment.launch_templates:
                by_region = templates.setdefault(image.name, {}).setdefault(image.arch, {})
                by_region[region] = make_template(stack, image, region, parameter).outputs
    return templates


def check_image(stack: AwsStack, image: PublishedImage, region: str, regional: RegionalImage) -> DataAwsSsmParameter:
    """Check that both parameters hold what the catalog says. Return the parameter of the channel."""
    name, provider = f"{image.name}-{image.arch}-{region}", stack.provider(region)
    version, channel = regional.version, regional.channel
    publish = f"run 'bakery publish {image.name}'"
    pinned = f"{version.name}:{version.number}"
    check_pointer(stack, f"{name}-version", version, publish, parameter=pinned, provider=provider)
    promote = f"run 'bakery promote {image.name} {image.version} {stack.environment.channel}'"
    return check_pointer(stack, f"{name}-channel", channel, promote, parameter=channel.name, provider=provider)


def make_template(stack: AwsStack, image: PublishedImage, region: str, parameter: DataAwsSsmParameter) -> ImageTemplate:
    """The launch template of an image in a region."""
    environment = stack.environment
    tags = {"bakery:image": image.name, "bakery:version": image.version, "bakery:environment": environment.name}
    return ImageTemplate(
        stack,
        f"{image.name}-{image.arch}-{region}-template",
        image=f"bakery-{environment.name}-{image.name}-{image.arch}",
        tags={**environment.tags, **tags},
        parameter=parameter,
        provider=stack.provider(region),
    )


def image_outputs(images: Sequence[PublishedImage], environment: Environment) -> dict[str, Any]:
    """Image -> architecture -> version, channel, owner and regions."""
    outputs: dict[str, Any] = {}
    for image in images:
        outputs.setdefault(image.name, {})[image.arch] = {
            "version": image.version,
            "channel": environment.channel,
            "owner": environment.account,
            "regions": {region: region_outputs(regional) for region, regional in image.regions.items()},
        }
    return outputs


def region_outputs(regional: RegionalImage) -> dict[str, str | int]:
    """Parameter versions tell a follower that a pointer moved, even to the same image and back."""
    return {
        "image_id": regional.image_id,
        "parameter": regional.version.name,
        "parameter_version": regional.version.number,
        "channel_parameter": regional.channel.name,
        "channel_parameter_version": regional.channel.number,
    }
