"""The stack that hands out images: what the channel points at, checked against AWS, as one output.

Scripts own the parameters' values; here they are only read. So no apply can ever move a pointer, and a plan fails where
catalog and AWS disagree.
"""

from collections.abc import Sequence
from typing import Any

from bakery.documents import Parameter
from bakery_stacks.base import BakeryStack
from bakery_stacks.bindings import (
    Construct,
    DataAwsS3Bucket,
    DataAwsSsmParameter,
    Postcondition,
    TerraformOutput,
    TerraformResourceLifecycle,
)
from bakery_stacks.config import Settings, bucket_of
from bakery_stacks.published import PublishedImage, RegionalImage


class ImagesStack(BakeryStack):
    """Deployed after each publish or promotion; downstream Terraform reads its outputs."""

    def __init__(self, scope: Construct, settings: Settings, images: Sequence[PublishedImage] | None) -> None:
        """`images` is None when there is no catalog yet, which is not the same as an empty one."""
        super().__init__(scope, "images", settings)
        for image in images or ():
            for region, place in image.regions.items():
                self._check(image, region, place)
        if images is None:
            # Fails the plan: a bucket that is gone must not take the outputs away from those who read them.
            DataAwsS3Bucket(self, "made-by-the-distribution-stack", bucket=bucket_of(settings.catalog))
        TerraformOutput(
            self,
            "images",
            value=self._outputs(images or ()),
            description="image -> architecture -> version, and per region its ID and parameters",
        )

    def _check(self, image: PublishedImage, region: str, place: RegionalImage) -> None:
        name = f"{image.name}-{image.arch}-{region}"
        pinned = f"{place.version.name}:{place.version.number}"
        self._expect(f"{name}-version", region, pinned, place.version, f"run 'bakery publish {image.name}'")
        promote = f"run 'bakery promote {image.name} {image.version} {self.environment.channel}'"
        self._expect(f"{name}-channel", region, place.channel.name, place.channel, promote)

    def _expect(self, name: str, region: str, read: str, expected: Parameter, remedy: str) -> None:
        """Fails the plan if the parameter is gone or holds another image."""
        message = f"{expected.name} in {region} does not hold {expected.value}, as the catalog says: {remedy}"
        same = Postcondition(condition=f'${{self.insecure_value == "{expected.value}"}}', error_message=f"{message}.")
        DataAwsSsmParameter(
            self,
            name,
            name=read,
            provider=self.provider(region),
            lifecycle=TerraformResourceLifecycle(postcondition=[same]),
        )

    def _outputs(self, images: Sequence[PublishedImage]) -> dict[str, Any]:
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
