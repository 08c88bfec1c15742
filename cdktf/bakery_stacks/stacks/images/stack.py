"""The stack that hands out images: what the channel points at, checked against AWS, as one output.

Scripts own the parameters' values; here they are only read. So no apply can ever move a pointer, and a plan fails where
catalog and AWS disagree.
"""

from typing import Any

from cdktf_cdktf_provider_aws.data_aws_s3_bucket import DataAwsS3Bucket
from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.image import expect
from bakery_stacks.config import Settings, bucket_of
from bakery_stacks.published import Published, PublishedImage, RegionalImage
from bakery_stacks.stacks.images.template import ImageTemplate


class ImagesStack(AwsStack):
    """Deployed after each publish or promotion; downstream Terraform reads its outputs."""

    def __init__(self, scope: Construct, settings: Settings, published: Published | None) -> None:
        """`published` is None when there is no catalog yet, which is not the same as an empty one."""
        super().__init__(scope, "images", settings)
        templates: dict[str, Any] = {}
        images = published.images if published else ()
        for image in images:
            for region, place in image.regions.items():
                parameter = self._check(image, region, place)
                if self.environment.launch_templates:
                    by_region = templates.setdefault(image.name, {}).setdefault(image.arch, {})
                    by_region[region] = self._template(image, region, parameter).outputs
        if published is None:
            # Fails the plan: a bucket that is gone must not take the outputs away from those who read them.
            DataAwsS3Bucket(self, "made-by-the-distribution-stack", bucket=bucket_of(settings.catalog))
        about = "image -> architecture -> version, and per region its ID and parameters"
        self.output("images", self._outputs(images), about)
        if self.environment.launch_templates:
            about = "image -> architecture -> region -> ID and newest version of its launch template"
            self.output("launch_templates", templates, about)

    def _check(self, image: PublishedImage, region: str, place: RegionalImage) -> Any:
        """Both parameters hold what the catalog says; the channel's is handed on."""
        name, provider = f"{image.name}-{image.arch}-{region}", self.provider(region)
        pinned = f"{place.version.name}:{place.version.number}"
        publish = f"run 'bakery publish {image.name}'"
        expect(self, f"{name}-version", place.version, publish, read=pinned, provider=provider)
        promote = f"run 'bakery promote {image.name} {image.version} {self.environment.channel}'"
        return expect(self, f"{name}-channel", place.channel, promote, read=place.channel.name, provider=provider)

    def _template(self, image: PublishedImage, region: str, parameter: Any) -> ImageTemplate:
        environment = self.environment
        ours = {"bakery:image": image.name, "bakery:version": image.version, "bakery:environment": environment.name}
        return ImageTemplate(
            self,
            f"{image.name}-{image.arch}-{region}-template",
            image=f"bakery-{environment.name}-{image.name}-{image.arch}",
            tags={**environment.tags, **ours},
            parameter=parameter,
            provider=self.provider(region),
        )

    def _outputs(self, images: tuple[PublishedImage, ...]) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        for image in images:
            outputs.setdefault(image.name, {})[image.arch] = {
                "version": image.version,
                "channel": self.environment.channel,
                "regions": {region: _place(place) for region, place in image.regions.items()},
            }
        return outputs


def _place(place: RegionalImage) -> dict[str, str | int]:
    """Parameter versions tell a follower that a pointer moved, even to the same image and back."""
    return {
        "image_id": place.image_id,
        "parameter": place.version.name,
        "parameter_version": place.version.number,
        "channel_parameter": place.channel.name,
        "channel_parameter_version": place.channel.number,
    }
