"""One of our images as an input: what the environment's channel points at, checked against AWS when planned."""

from cdktf import Postcondition, Precondition, TerraformLocal, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from bakery.documents import Parameter
from bakery.infra.explain import condition
from bakery.yamlfile import Keys
from bakery_stacks.base import AwsStack
from bakery_stacks.published import MACHINE_ARCH, Published, never_baked


class ChannelImage(Construct):
    """The image of a stack's machines. `image_id` stands in the plan, so a new version is a change that shows.

    Where the channel has no such image, every plan fails with what to do; other stacks can still be deployed.
    """

    def __init__(self, stack: AwsStack, name: str, image: str, published: Published | None, *, at: Keys) -> None:
        """`at` are the keys of the environment that name the image."""
        super().__init__(stack, name)
        region, channel = stack.environment.home_region, stack.environment.channel
        found = published.machine_image(image, region) if published else None
        if found is None:
            why = (published.missing if published else {}).get(image) or never_baked(stack.environment, image)
            message = f"channel {channel} has no image {image} ({MACHINE_ARCH}) in {region}: {why.reason}"
            where = stack.settings.where(*at)
            self._fail(
                f"/bakery/{image}/{MACHINE_ARCH}/channels/{channel}", condition(message, hint=why.hint, where=where)
            )
            self.image_id, self.version = "ami-00000000000000000", "none"
            return
        place = found.regions[region]
        promote = f"run 'bakery promote {image} {found.version} {channel}'"
        expect(self, "channel", place.channel, promote, read=place.channel.name)
        self.image_id, self.version = place.image_id, found.version

    def _fail(self, parameter: str, message: str) -> None:
        """Before the parameter is read. A condition must name something of the stack, so it names a local."""
        known = TerraformLocal(self, "known", False)
        never = Precondition(condition=f"${{{known.fqn}}}", error_message=message)
        DataAwsSsmParameter(self, "missing", name=parameter, lifecycle=TerraformResourceLifecycle(precondition=[never]))


def expect(
    scope: Construct, name: str, expected: Parameter, remedy: str, *, read: str, provider: AwsProvider | None = None
) -> DataAwsSsmParameter:
    """Reads a parameter; the plan fails if it is gone or holds another image than the catalog says."""
    message = f"{expected.name} in {expected.region} does not hold {expected.value}, as the catalog says"
    same = Postcondition(
        condition=f'${{self.insecure_value == "{expected.value}"}}', error_message=condition(message, hint=remedy)
    )
    return DataAwsSsmParameter(
        scope,
        name,
        name=read,
        provider=provider,
        lifecycle=TerraformResourceLifecycle(postcondition=[same]),
    )
