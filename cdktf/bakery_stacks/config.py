"""Environments: YAML files beside the stacks -> Settings. Errors say `file:line`, as they do for definitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from bakery import yamlfile
from bakery.errors import UsageError
from bakery.fields import Account, Name
from bakery.strict import Model, misfit, near, validate
from bakery_stacks.sections.azure import Azure
from bakery_stacks.sections.consumer import Consumer, PolicyArn
from bakery_stacks.sections.network import Network
from bakery_stacks.sections.region import KnownRegion
from bakery_stacks.sections.runner import Runner
from bakery_stacks.sections.vault import Vault
from bakery_stacks.sections.vault_config import VaultConfig
from bakery_stacks.sections.vsphere import Vsphere

DEFAULT_ENVIRONMENT = "demo"
# S3's rules for names that work as host names; no dots, which TLS certificates of virtual-hosted buckets do not cover.
BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
BUCKET_LENGTH = 63
REPLICA_SUFFIX = "-replica"
RECYCLE_DAYS_MAX = 365  # Recycle Bin, for images and snapshots
PREFIX = r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*"
# A load balancer's name has 32 characters at most (ELBv2 API, CreateLoadBalancer); Vault's is bakery-NAME-vault.
LONGEST_WITH_VAULT = 32 - len("bakery--vault")

# A bucket's 63 characters, without the rest of bakery-NAME-runner-cache-ACCOUNT.
RUNNER_NAME = 30

Bucket = Annotated[str, StringConstraints(pattern=f"^{BUCKET}$")]
Prefix = Annotated[str, StringConstraints(pattern=f"^{PREFIX}$")]
CatalogLocation = Annotated[str, StringConstraints(pattern=f"^s3://{BUCKET}/{PREFIX}$")]


class State(Model):
    """Where Terraform keeps its state. The bucket has to exist, with versioning; each stack has its own key."""

    bucket: Bucket
    prefix: Prefix = Field(description="keys are PREFIX/STACK.tfstate")


class Environment(Model):
    """One set of accounts and regions that images are distributed in."""

    name: Name
    account: Account = Field(description="the account that owns images, catalog and keys")
    home_region: KnownRegion = Field(description="where the catalog bucket, the topic and the state are")
    regions: Annotated[tuple[KnownRegion, ...], Field(min_length=1)] = Field(description="where images are used")
    consumer_accounts: tuple[Consumer, ...] = Field(default=(), description="accounts that may launch the images")
    catalog: CatalogLocation = Field(description="s3://BUCKET/PREFIX; the distribution stack makes the bucket")
    replica_region: KnownRegion | None = Field(
        default=None, description="one of regions that gets a second copy of the catalog, in BUCKET-replica"
    )
    channel: Name = Field(description="the channel whose versions this environment hands out")
    state: State
    topic: Name = Field(description="SNS topic that tells of new and withdrawn images")
    recycle_days: Annotated[int, Field(ge=1, le=RECYCLE_DAYS_MAX)] = Field(
        default=14, description="how long deleted images and snapshots can be had back from the Recycle Bin"
    )
    block_public_sharing: bool = Field(
        default=True,
        description="for all images and snapshots of the account, ours or not; false if something else sets it",
    )
    launch_templates: bool = Field(
        default=False, description="the images stack keeps a launch template of each image in each region"
    )
    tags: dict[str, str] = Field(default_factory=dict, description="on every resource")
    permissions_boundary: PolicyArn | None = Field(
        default=None, description="on every role that stacks make in `account`"
    )
    disposable: bool = Field(default=False, description="destroy may delete the catalog with all its records")
    network: Network | None = None
    vault: Vault | None = None
    vault_config: VaultConfig | None = None
    runner: Runner | None = None
    vsphere: Vsphere | None = None
    azure: Azure | None = None

    @field_validator("consumer_accounts")
    @classmethod
    def _others_once(cls, consumers: tuple[Consumer, ...], info: ValidationInfo) -> tuple[Consumer, ...]:
        numbers = [consumer.account for consumer in consumers]
        for number in numbers:
            if numbers.count(number) > 1:
                raise ValueError(f"account {number} is named twice")
        if info.data.get("account") in numbers:
            raise ValueError(f"account {info.data['account']} owns the images: take it out")
        return consumers

    @field_validator("replica_region")
    @classmethod
    def _elsewhere(cls, region: str | None, info: ValidationInfo) -> str | None:
        if region is None:
            return None
        if region == info.data.get("home_region"):
            raise ValueError(f"the catalog itself is in {region}: choose another of regions")
        if region not in info.data.get("regions", (region,)):
            raise ValueError(f"{region} has no key, since it is none of regions: add it there or choose another")
        if len(replica(bucket_of(info.data.get("catalog", "")))) > BUCKET_LENGTH:
            raise ValueError(f"the name of the catalog's bucket is too long: S3 has no room for {REPLICA_SUFFIX}")
        return region

    @field_validator("vault_config")
    @classmethod
    def _fits(cls, section: VaultConfig | None, info: ValidationInfo) -> VaultConfig | None:
        if section and {"name", "account", "home_region"} <= info.data.keys():
            account, home = info.data["account"], info.data["home_region"]
            nodes = node_role(info.data["name"], account, home)
            section.fit(account, partition(home), info.data.get("vault"), nodes)
        return section

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.regions)) != len(self.regions):
            raise ValueError("regions has an entry twice")
        if self.home_region not in self.regions:
            raise ValueError(f"regions must contain home_region, {self.home_region}")
        if len({partition(region) for region in self.regions}) > 1:
            raise ValueError("regions are in different AWS partitions, between which images cannot be copied")
        if self.vault and not self.network:
            raise ValueError("vault needs a network: add that part")
        if self.vault and len(self.name) > LONGEST_WITH_VAULT:
            raise ValueError(
                f"name '{self.name}' is too long for vault's: take {LONGEST_WITH_VAULT} characters or less"
            )
        elsewhere = [zone for zone in (self.network.subnets if self.network else ()) if zone[:-1] != self.home_region]
        if elsewhere:
            raise ValueError(f"network has a subnet in {elsewhere[0]}, which is not in home_region {self.home_region}")
        return self

    @model_validator(mode="after")
    def _runner_fits(self) -> Self:
        if self.runner and not self.network:
            raise ValueError("runner needs network: its machines are in those subnets")
        if self.runner and len(self.name) > RUNNER_NAME:
            raise ValueError(f"with runner, name has at most {RUNNER_NAME} characters: its bucket carries it")
        return self

    @model_validator(mode="after")
    def _buckets_differ(self) -> Self:
        """The stacks make all of them but the state's, which is there already."""
        buckets: list[tuple[tuple[str, ...], str]] = [
            (("catalog",), self.catalog_bucket),
            (("state", "bucket"), self.state.bucket),
            *([(("replica_region",), replica(self.catalog_bucket))] if self.replica_region else []),
            *([(("vault", "snapshots", "bucket"), self.vault.snapshots.bucket)] if self.vault else []),
        ]
        seen: dict[str, str] = {}
        for keys, bucket in buckets:
            if bucket in seen:
                raise misfit(f"{bucket} is the bucket of {seen[bucket]}", "name another", *keys)
            seen[bucket] = ".".join(keys)
        return self

    @property
    def catalog_bucket(self) -> str:
        """The bucket in `catalog`."""
        return bucket_of(self.catalog)

    @property
    def catalog_prefix(self) -> str:
        """The prefix in `catalog`."""
        return self.catalog.removeprefix("s3://").partition("/")[2]


@dataclass(frozen=True)
class Settings:
    """An environment and how this run sees it.

    `stand_in`: AWS is stood in for by a server behind plain HTTP, where buckets are paths and TLS cannot be asked for.
    """

    environment: Environment
    catalog: str
    stand_in: bool


def load(folder: Path, environ: Mapping[str, str]) -> Settings:
    """The environment that BAKERY_ENVIRONMENT names; UsageError if it is absent or wrong.

    BAKERY_CATALOG reads the images from another catalog, as it does for the command line.
    """
    environment = _read(folder, environ.get("BAKERY_ENVIRONMENT") or DEFAULT_ENVIRONMENT)
    catalog = environ.get("BAKERY_CATALOG") or environment.catalog
    return Settings(environment, catalog, stand_in=environ.get("AWS_ENDPOINT_URL", "").startswith("http://"))


def bucket_of(location: str) -> str:
    """The bucket in s3://BUCKET/PREFIX."""
    return location.removeprefix("s3://").partition("/")[0]


def replica(bucket: str) -> str:
    """The bucket that gets the catalog's second copy."""
    return f"{bucket}{REPLICA_SUFFIX}"


def partition(region: str) -> str:
    """The AWS partition of a region: the part of an ARN after `arn`."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def node_role(environment: str, account: str, home_region: str) -> str:
    """The ARN of the role of Vault's nodes, known before the role is there."""
    return f"arn:{partition(home_region)}:iam::{account}:role/bakery-{environment}-vault"


def domain(region: str) -> str:
    """What the names of a region's services end in."""
    return "amazonaws.com.cn" if partition(region) == "aws-cn" else "amazonaws.com"


def _read(folder: Path, name: str) -> Environment:
    path = folder / f"{name}.yaml"
    known = sorted(found.stem for found in folder.glob("*.yaml"))
    if name not in known:
        hint = near(name, known) or f"BAKERY_ENVIRONMENT can be {', '.join(known)}"
        raise UsageError(f"no environment named '{name}'", where=str(folder), hint=hint)
    environment = validate(Environment, "environment", path, yamlfile.Reader().read(path))
    if environment.name != name:
        raise UsageError(
            f"name is '{environment.name}', but the file is {path.name}",
            where=yamlfile.where(path, ("name",)),
            hint="give both the same name",
        )
    return environment
