"""The newest AMI of another owner, which a build starts from."""

from collections.abc import Mapping

from bakery.clouds.aws.calls import explain_errors
from bakery.clouds.aws.clients import Filter
from bakery.clouds.aws.session import connect
from bakery.clouds.aws.settings import AwsBase, AwsDistribution
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase


def find_base(definition: ImageDefinition, credentials: Mapping[str, str]) -> VendorBase:
    """The newest AMI behind the definition's filter, in the region of its builds.

    AWS leaves out deprecated AMIs of other owners. BakeryError if none is left.
    """
    base, settings = definition.base.of(AwsBase), definition.distribution.of(AwsDistribution)
    assert base and base.ami and settings
    region, ami = settings.build_location, base.ami
    ec2 = connect(region, credentials).ec2([region])[region]
    filters: list[Filter] = [
        {"Name": "name", "Values": [ami.name]},
        {"Name": "architecture", "Values": [definition.arch]},
        {"Name": "virtualization-type", "Values": ["hvm"]},
        {"Name": "root-device-type", "Values": ["ebs"]},
        {"Name": "state", "Values": ["available"]},
    ]
    with explain_errors(f"look for the AMI {ami.name}", region):
        images = ec2.describe_images(Owners=[ami.owner], Filters=filters)["Images"]
    if not images:
        raise BakeryError(
            f"{ami.owner} has no AMI named {ami.name} for {definition.arch}",
            where=region,
            hint="check base.aws.ami in the definition; AWS hides deprecated AMIs of other owners",
        )
    newest = max(images, key=lambda image: (image["CreationDate"], image["ImageId"]))
    return VendorBase(newest["ImageId"], "AMI", newest["CreationDate"][:10])
