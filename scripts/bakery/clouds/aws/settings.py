"""The settings of AWS in a definition: `base.aws` and `distribution.aws`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.model.bases import CloudBase, require_one
from bakery.model.distribution import CloudDistribution
from bakery.model.fields import Name, TextFormat, VaultPath
from bakery.model.validation import Model

Region = Annotated[str, TextFormat(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", "the name of an AWS region", "eu-west-1")]
Account = Annotated[str, TextFormat(r"^[0-9]{12}$", "the twelve digits of an AWS account", "123456789012")]
Owner = Annotated[str, TextFormat(r"^([0-9]{12}|amazon|self)$", "an AWS account, amazon or self", "136693071363")]


class AmiFilter(Model):
    """The newest AMI of an owner whose name matches."""

    name: str = Field(description="name of the AMI; * stands for anything: debian-13-amd64-*")
    owner: Owner = Field(description="account that owns the AMI, amazon or self")


class AwsBase(CloudBase):
    """Has Packer build in AWS (amazon-ebs) instead of publishing the QEMU disk: exactly one of image and ami."""

    image: Name | None = Field(
        default=None, description="another image of this project: its newest complete version there"
    )
    ami: AmiFilter | None = Field(default=None, description="an AMI of another owner")
    instance_type: str = Field(default="t3.medium", description="instance type of the build")
    user: str = Field(default="admin", description="user that logs in to the base")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        require_one(self, "image", "ami")
        return self

    @property
    def parent(self) -> str | None:
        return self.image

    @property
    def vendor_source(self) -> str:
        return f"{self.ami.owner}/{self.ami.name}" if self.ami else ""


class AwsDistribution(CloudDistribution):
    """The regions and accounts that get the AMI. It is registered in the first region; the others get copies."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    accounts: tuple[Account, ...] = Field(default=(), description="consumer accounts that may launch it")
    consumer_role: str = Field(default="bakery-publisher", description="role there that writes SSM parameters")
    kms_alias: str | None = Field(default=None, description="alias of each region's KMS key for the snapshots")
    credentials: VaultPath | None = Field(
        default=None, description="Vault path of access_key and secret_key, such as aws/sts/bake; else the environment"
    )

    @property
    def vault_path(self) -> str | None:
        return self.credentials

    @property
    def locations(self) -> tuple[str, ...]:
        return (*self.regions, *self.accounts)

    @property
    def build_location(self) -> str:
        return self.regions[0]
