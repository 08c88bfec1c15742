"""One of our images as an input: what the environment's channel points at, checked against AWS when planned."""

from collections.abc import Sequence
from typing import Any

from bakery.documents import Parameter
from bakery_stacks.base import AwsStack
from bakery_stacks.bindings import Construct, aws, core
from bakery_stacks.published import PublishedImage


class ChannelImage(Construct):
    """The image of a stack's machines. `image_id` stands in the plan, so a new version is a change that shows.

    Where the channel has no such image, every plan fails with what to do; other stacks can still be deployed.
    """

    def __init__(
        self, stack: AwsStack, name: str, *, image: str, arch: str, images: Sequence[PublishedImage] | None
    ) -> None:
        super().__init__(stack, name)
        region, channel = stack.environment.home_region, stack.environment.channel
        found = next((known for known in images or () if (known.name, known.arch) == (image, arch)), None)
        place = found.regions.get(region) if found else None
        if found is None or place is None:
            missing = f"channel {channel} has no {image} ({arch}) in {region}: run 'bakery run {image}' first"
            self._fail(f"/bakery/{image}/{arch}/channels/{channel}", missing)
            self.image_id, self.version = "ami-00000000000000000", "none"
            return
        promote = f"run 'bakery promote {image} {found.version} {channel}'"
        expect(self, "channel", place.channel, promote, read=place.channel.name)
        self.image_id, self.version = place.image_id, found.version

    def _fail(self, parameter: str, message: str) -> None:
        """Before the parameter is read. A condition must name something of the stack, so it names a local."""
        known = core.TerraformLocal(self, "known", False)
        never = core.Precondition(condition=f"${{{known.fqn}}}", error_message=f"{message}.")
        aws.DataAwsSsmParameter(
            self, "missing", name=parameter, lifecycle=core.TerraformResourceLifecycle(precondition=[never])
        )


def expect(
    scope: Construct, name: str, expected: Parameter, remedy: str, *, read: str, provider: Any | None = None
) -> Any:
    """Reads a parameter; the plan fails if it is gone or holds another image than the catalog says."""
    message = f"{expected.name} in {expected.region} does not hold {expected.value}, as the catalog says: {remedy}"
    same = core.Postcondition(condition=f'${{self.insecure_value == "{expected.value}"}}', error_message=f"{message}.")
    return aws.DataAwsSsmParameter(
        scope,
        name,
        name=read,
        provider=provider,
        lifecycle=core.TerraformResourceLifecycle(postcondition=[same]),
    )
