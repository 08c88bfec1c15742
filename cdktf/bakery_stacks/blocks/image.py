"""A baked image as an input: the version that the environment's channel points at, checked against AWS by each plan."""

from cdktf import Postcondition, Precondition, TerraformLocal, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from bakery.host.yamlfile import Keys
from bakery.infra.explain import condition_text
from bakery.model.documents import Pointer
from bakery_stacks.base import AwsStack
from bakery_stacks.channel_images import MACHINE_ARCH, ChannelImages, unbaked_image


class ChannelImage(Construct):
    """The image of a stack's machines. `image_id` is literal, so a plan shows a new version as a change.

    If the channel has no such image, every plan of this stack fails with a hint; other stacks can still be deployed.
    """

    def __init__(
        self, stack: AwsStack, name: str, image: str, channel_images: ChannelImages | None, *, at: Keys
    ) -> None:
        """`at` has the keys of the environment that name the image."""
        super().__init__(stack, name)
        region, channel = stack.environment.home_region, stack.environment.channel
        published_image = channel_images.machine_image(image, region) if channel_images else None
        if published_image is None:
            absence = channel_images.missing_images.get(image) if channel_images else None
            cause = absence or unbaked_image(stack.environment, image)
            message = f"channel {channel} has no image {image} ({MACHINE_ARCH}) in {region}: {cause.reason}"
            text = condition_text(message, hint=cause.hint, where=stack.settings.where(*at))
            self._fail_plan(f"/bakery/{image}/{MACHINE_ARCH}/channels/{channel}", text)
            self.image_id, self.version = "ami-00000000000000000", "none"
            return
        regional = published_image.regions[region]
        promote = f"run 'bakery promote {image} {published_image.version} {channel}'"
        check_pointer(self, "channel", regional.channel, promote, parameter=regional.channel.name)
        self.image_id, self.version = regional.image_id, published_image.version

    def _fail_plan(self, parameter: str, message: str) -> None:
        """Fail before the parameter is read. A condition needs a reference, so this one refers to a local value."""
        local = TerraformLocal(self, "known", False)
        refusal = Precondition(condition=f"${{{local.fqn}}}", error_message=message)
        lifecycle = TerraformResourceLifecycle(precondition=[refusal])
        DataAwsSsmParameter(self, "missing", name=parameter, lifecycle=lifecycle)


def check_pointer(
    scope: Construct,
    name: str,
    pointer: Pointer,
    remedy: str,
    *,
    parameter: str,
    provider: AwsProvider | None = None,
) -> DataAwsSsmParameter:
    """Reads a parameter. The plan fails if it is missing, or holds another image than the catalog records."""
    message = f"{pointer.name} in {pointer.region} does not hold {pointer.value}, which the catalog records"
    check = Postcondition(
        condition=f'${{self.insecure_value == "{pointer.value}"}}', error_message=condition_text(message, hint=remedy)
    )
    lifecycle = TerraformResourceLifecycle(postcondition=[check])
    return DataAwsSsmParameter(scope, name, name=parameter, provider=provider, lifecycle=lifecycle)
