"""The settings of AWS in a definition: `base.aws` and `distribution.aws`."""

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.clouds import tag_limits
from bakery.model.access import AddressBlock
from bakery.model.bases import CloudBase, require_one
from bakery.model.definition import ImageDefinition
from bakery.model.distribution import CloudDistribution
from bakery.model.documents import ImageLocation
from bakery.model.fields import Name, TextFormat, VaultPath
from bakery.model.validation import Model, field_error

Region = Annotated[str, TextFormat(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", "the name of an AWS region", "eu-west-1")]
Account = Annotated[str, TextFormat(r"^[0-9]{12}$", "the twelve digits of an AWS account", "123456789012")]
# AWS KMS, "CreateAlias"; the prefix may be left out.
KeyAlias = Annotated[
    str,
    TextFormat(r"^(?!alias/$)(alias/)?[A-Za-z0-9_-][A-Za-z0-9/_-]{0,249}$", "the alias of a KMS key", "alias/images"),
]
MANAGED_KEY = "alias/aws/"  # AWS, "Share an AMI": no other account may use a key that AWS manages
Owner = Annotated[str, TextFormat(r"^([0-9]{12}|amazon|self)$", "an AWS account, amazon or self", "136693071363")]


# AWS, "Tagging AWS resources".
LONGEST_KEY = 128
RESERVED_KEY = re.compile("aws:", re.IGNORECASE)

ID = "[0-9a-f]{8}([0-9a-f]{9})?$"
Vpc = Annotated[str, TextFormat(f"^vpc-{ID}", "the ID of a VPC", "vpc-0123456789abcdef0")]
Subnet = Annotated[str, TextFormat(f"^subnet-{ID}", "the ID of a subnet", "subnet-0123456789abcdef0")]
SecurityGroup = Annotated[str, TextFormat(f"^sg-{ID}", "the ID of a security group", "sg-0123456789abcdef0")]
InstanceProfile = Annotated[
    str, TextFormat(r"^[\w+=,.@-]{1,128}$", "the name of an instance profile, not its ARN", "bakery-production-build")
]


def check_tags(tags: Mapping[str, str], *keys: str) -> None:
    """Raise an error of a validator if AWS would refuse tags, which are below `keys`."""
    tag_limits.check_tags("AWS", tags, _find_key_fault, *keys)


def _find_key_fault(key: str) -> str:
    if RESERVED_KEY.match(key):
        return "AWS keeps keys that begin with aws: for itself"
    return "" if 1 <= len(key) <= LONGEST_KEY else f"AWS takes a key of 1 to {LONGEST_KEY} characters"


class AmiFilter(Model):
    """The newest AMI of an owner whose name matches."""

    name: str = Field(description="name of the AMI; * stands for anything: debian-13-amd64-*")
    owner: Owner = Field(description="account that owns the AMI, amazon or self")


class AwsNetwork(Model):
    """The network of a build: a subnet, and who may log in to the machine there."""

    vpc: Vpc | None = Field(default=None, description="VPC in which subnet_tags are looked for")
    subnet: Subnet | None = Field(default=None, description="subnet of the build; or set subnet_tags")
    subnet_tags: Mapping[str, str] = Field(default={}, description="tags that exactly one subnet has: {Name: builds}")
    security_groups: tuple[SecurityGroup, ...] = Field(
        default=(), description="security groups of the build; without them Packer makes one and removes it"
    )
    public_address: bool = Field(default=True, description="whether the machine gets a public address")
    access_from: tuple[AddressBlock, ...] = Field(
        default=(),
        description="address blocks that may log in; without it the public address of the machine that bakes",
    )
    session_manager: bool = Field(
        default=False, description="log in through AWS Session Manager, which opens no port; needs instance_profile"
    )

    @model_validator(mode="after")
    def _check_subnet(self) -> Self:
        if (self.subnet is None) == (not self.subnet_tags):
            raise ValueError("needs exactly one of subnet, subnet_tags")
        if self.vpc and self.subnet:
            raise field_error("subnet has its own VPC", "remove vpc, or replace subnet by subnet_tags", "vpc")
        return self

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        if self.access_from and self.security_groups:
            reason = "it is for a group that Packer makes, and security_groups are set"
            raise field_error(reason, "put the rule into those groups", "access_from")
        if self.access_from and self.session_manager:
            raise field_error("Session Manager opens no port", "remove it", "access_from")
        if not (self.public_address or self.session_manager or self.access_from or self.security_groups):
            reason = "nothing can log in to a machine without a public address"
            hint = "set session_manager: true; or access_from to the private block of the machine that bakes"
            raise field_error(reason, hint, "public_address")
        return self


class AwsBase(CloudBase):
    """Has Packer build in AWS (amazon-ebs) instead of publishing the QEMU disk: exactly one of image and ami."""

    image: Name | None = Field(
        default=None, description="another image of this project: its newest complete version there"
    )
    ami: AmiFilter | None = Field(default=None, description="an AMI of another owner")
    instance_type: str = Field(default="t3.medium", description="instance type of the build")
    user: str = Field(default="admin", description="user that logs in to the base")
    network: AwsNetwork | None = Field(
        default=None, description="network of the build; without it the default VPC, and access from this machine only"
    )
    instance_profile: InstanceProfile | None = Field(
        default=None, description="instance profile of the build; its machine has these rights at AWS"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        require_one(self, "image", "ami")
        if self.network and self.network.session_manager and not self.instance_profile:
            reason = "Session Manager reaches only machines with an instance profile"
            hint = "add instance_profile, whose role has the policy AmazonSSMManagedInstanceCore"
            raise field_error(reason, hint, "network", "session_manager")
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
    tagger_role: str = Field(default="bakery-tagger", description="role there that tags the images for the account")
    kms_alias: KeyAlias | None = Field(default=None, description="alias of each region's KMS key for the snapshots")
    credentials: VaultPath | None = Field(
        default=None,
        description="Vault path of access_key and secret_key, such as aws/sts/publish; else the environment",
    )
    build_credentials: VaultPath | None = Field(
        default=None, description="the same for builds with `base.aws`, such as aws/sts/bake; else `credentials`"
    )

    @model_validator(mode="after")
    def _share_with_a_key(self) -> Self:
        if self.accounts and self.key_alias.startswith(MANAGED_KEY):
            reason = "no other account can use a key that AWS manages"
            raise field_error(
                reason, "name a key of your own, such as the output key_alias of distribution", "kms_alias"
            )
        return self

    @property
    def vault_path(self) -> str | None:
        return self.credentials

    @property
    def build_path(self) -> str | None:
        return self.build_credentials or self.credentials

    @property
    def locations(self) -> tuple[str, ...]:
        return (*self.regions, *self.accounts)

    @property
    def build_location(self) -> str:
        return self.regions[0]

    @property
    def key_alias(self) -> str:
        """The KMS key by its alias, as AWS takes it; empty for no encryption."""
        alias = self.kms_alias or ""
        return f"alias/{alias.removeprefix('alias/')}" if alias else ""

    @property
    def encryption(self) -> str:
        return self.key_alias

    def wants(self, location: ImageLocation) -> bool:
        return location.region in self.regions and (location.owned or location.account in self.accounts)

    def check(self, definition: ImageDefinition) -> None:
        if "aws" in definition.targets:
            check_tags(definition.tags, "tags")
