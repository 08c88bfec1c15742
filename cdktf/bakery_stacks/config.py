"""Environments: YAML files beside the stacks -> Settings. Errors name `file:line`, as they do for definitions."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bakery.clouds.aws.settings import Account, check_tags
from bakery.host import yamlfile
from bakery.host.errors import UsageError, raise_all, suggest
from bakery.host.yamlfile import Keys
from bakery.model.fields import Name, TextFormat
from bakery.model.validation import Model, field_error, first_repeated, validate
from bakery_stacks.fields.arn import PolicyArn
from bakery_stacks.fields.bucket import BUCKET, Bucket
from bakery_stacks.fields.region import KnownRegion
from bakery_stacks.stacks.azure.settings import Azure
from bakery_stacks.stacks.consumer.settings import Consumer
from bakery_stacks.stacks.network.settings import Network
from bakery_stacks.stacks.runner.settings import Runner
from bakery_stacks.stacks.vault.settings import Vault
from bakery_stacks.stacks.vault_config.settings import VaultConfig
from bakery_stacks.stacks.vsphere.settings import Vsphere

DEFAULT_ENVIRONMENT = "demo"
CATALOG_VARIABLE = "BAKERY_CATALOG"
BUCKET_LENGTH = 63
REPLICA_SUFFIX = "-replica"
LOCK_DAYS_MAX = 36500  # S3, PutObjectLockConfiguration
RECYCLE_DAYS_MAX = 365  # the Recycle Bin's maximum for images and snapshots
# IAM, TagRole: the narrowest of the services whose resources get the tags.
TAG = re.compile(r"[\w .:/=+@-]*")
PREFIX = r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*"
# A load balancer's name has 32 characters at most (ELBv2 API, CreateLoadBalancer); Vault's is bakery-NAME-vault.
LONGEST_WITH_VAULT = 32 - len("bakery--vault")
# A bucket has 63 characters at most; the cache's is bakery-NAME-runner-cache-ACCOUNT.
LONGEST_WITH_RUNNER = 30

Prefix = Annotated[
    str,
    TextFormat(f"^{PREFIX}$", "letters, digits, hyphens and underscores, with / between parts", "bakery/production"),
]
CatalogLocation = Annotated[
    str,
    TextFormat(f"^s3://{BUCKET}/{PREFIX}$", "a bucket and a prefix, s3://BUCKET/PREFIX", "s3://example-images/catalog"),
]


class State(Model):
    """The location of Terraform's state. The bucket has to exist, with versioning; each stack has its own key."""

    bucket: Bucket = Field(description="its name")
    prefix: Prefix = Field(description="keys are PREFIX/STACK.tfstate")


class Environment(Model):
    """One set of accounts and regions that images are distributed in."""

    name: Name = Field(description="same as the name of the file, without .yaml")
    account: Account = Field(description="the account that owns images, catalog and keys")
    home_region: KnownRegion = Field(description="region of the catalog bucket, the topic and the state")
    regions: Annotated[tuple[KnownRegion, ...], Field(min_length=1)] = Field(description="regions that use images")
    consumer_accounts: tuple[Consumer, ...] = Field(default=(), description="accounts that may launch the images")
    catalog: CatalogLocation = Field(description="s3://BUCKET/PREFIX; the distribution stack makes the bucket")
    replica_region: KnownRegion | None = Field(
        default=None, description="one of regions that gets a second copy of the catalog, in BUCKET-replica"
    )
    catalog_lock_days: Annotated[int, Field(ge=1, le=LOCK_DAYS_MAX)] = Field(
        default=365, description="days in which Object Lock keeps each object of the catalog"
    )
    channel: Name = Field(description="the channel whose versions the environment's outputs have")
    state: State
    topic: Name = Field(description="SNS topic that announces new and withdrawn images")
    recycle_days: Annotated[int, Field(ge=1, le=RECYCLE_DAYS_MAX)] = Field(
        default=14, description="days in which deleted images and snapshots can be restored from the Recycle Bin"
    )
    block_public_sharing: bool = Field(
        default=True,
        description="for all images and snapshots of the account, also foreign ones; false if another tool sets it",
    )
    launch_templates: bool = Field(
        default=False, description="the images stack keeps a launch template of each image in each region"
    )
    tags: dict[str, str] = Field(default_factory=dict, description="tags on every resource")
    permissions_boundary: PolicyArn | None = Field(
        default=None, description="permissions boundary of every role that stacks make in `account`"
    )
    disposable: bool = Field(default=False, description="a destroy may delete the catalog with all its records")
    network: Network | None = None
    vault: Vault | None = None
    vault_config: VaultConfig | None = None
    runner: Runner | None = None
    vsphere: Vsphere | None = None
    azure: Azure | None = None

    @field_validator("tags")
    @classmethod
    def _check_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        check_tags(tags)
        for key, value in tags.items():
            if not TAG.fullmatch(key + value):
                reason = "IAM takes letters, digits, spaces and any of _.:/=+-@ in a tag"
                raise field_error(reason, "write it with these", key)
        return tags

    @field_validator("consumer_accounts")
    @classmethod
    def _check_consumers(cls, consumers: tuple[Consumer, ...], info: ValidationInfo) -> tuple[Consumer, ...]:
        accounts = [consumer.account for consumer in consumers]
        if (index := first_repeated(accounts)) is not None:
            raise field_error(f"account {accounts[index]} is named twice", "keep one of its entries", index, "account")
        if (owner := info.data.get("account")) in accounts:
            hint = "remove it: the owner can start its images anyway"
            raise field_error(f"account {owner} owns the images", hint, accounts.index(owner), "account")
        return consumers

    @field_validator("replica_region")
    @classmethod
    def _check_replica_region(cls, region: str | None, info: ValidationInfo) -> str | None:
        if region is None:
            return None
        if region == info.data.get("home_region"):
            raise field_error(
                f"the catalog itself is in {region}", "choose another of regions, or leave replica_region out"
            )
        regions = info.data.get("regions", (region,))
        if region not in regions:
            hint = f"add it to regions, or choose another of {', '.join(regions)}"
            raise field_error(f"{region} is not one of regions, so it has no key", hint)
        if len(replica_bucket(bucket_name(info.data.get("catalog", "")))) > BUCKET_LENGTH:
            room = BUCKET_LENGTH - len(REPLICA_SUFFIX)
            hint = f"give catalog a bucket of {room} characters or less, or leave replica_region out"
            raise field_error(f"the name of the catalog's bucket is too long for the suffix {REPLICA_SUFFIX}", hint)
        return region

    @field_validator("vault_config")
    @classmethod
    def _check_vault_config(cls, section: VaultConfig | None, info: ValidationInfo) -> VaultConfig | None:
        if section and {"name", "account", "home_region"} <= info.data.keys():
            account, home = info.data["account"], info.data["home_region"]
            nodes = node_role_arn(info.data["name"], account, home)
            section.check_against(account, aws_partition(home), info.data.get("vault"), nodes)
        return section

    @model_validator(mode="after")
    def _check_regions(self) -> Self:
        if (index := first_repeated(self.regions)) is not None:
            raise field_error(f"{self.regions[index]} is listed twice", "remove one", "regions", index)
        if self.home_region not in self.regions:
            hint = f"add it to regions, or choose one of {', '.join(self.regions)}"
            raise field_error(f"{self.home_region} is not one of regions, so it has no key", hint, "home_region")
        home = aws_partition(self.home_region)
        for index, region in enumerate(self.regions):
            if aws_partition(region) != home:
                reason = f"{region} is in another AWS partition than {self.home_region}: images cannot be copied there"
                raise field_error(
                    reason, "give that partition an environment and an account of its own", "regions", index
                )
        return self

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        for part in ("vault", "runner"):
            if getattr(self, part) and not self.network:
                hint = "add network with cidr and subnets: docs/reference/stacks/network.md has an example"
                raise field_error("its machines need subnets, and this environment has no network", hint, part)
        for zone in self.network.subnets if self.network else ():
            if zone[:-1] != self.home_region:
                hint = f"name one of its zones, such as {self.home_region}a"
                raise field_error(f"{zone} is not in home_region {self.home_region}", hint, "network", "subnets", zone)
        return self

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        for part, longest in (("vault", LONGEST_WITH_VAULT), ("runner", LONGEST_WITH_RUNNER)):
            if getattr(self, part) and len(self.name) > longest:
                reason = f"'{self.name}' is too long with {part}, whose resource names contain it"
                raise field_error(reason, f"choose {longest} characters or less, for the file as well", "name")
        return self

    @model_validator(mode="after")
    def _check_buckets(self) -> Self:
        """The stacks create all of these buckets but the state's, which exists before."""
        buckets: list[tuple[tuple[str, ...], str]] = [
            (("catalog",), self.catalog_bucket),
            (("state", "bucket"), self.state.bucket),
            *([(("replica_region",), replica_bucket(self.catalog_bucket))] if self.replica_region else []),
            *([(("vault", "snapshots", "bucket"), self.vault.snapshots.bucket)] if self.vault else []),
        ]
        owners: dict[str, str] = {}
        for keys, bucket in buckets:
            if bucket in owners:
                raise field_error(f"{bucket} is the bucket of {owners[bucket]}", "name another", *keys)
            owners[bucket] = ".".join(keys)
        return self

    @property
    def machine_images(self) -> frozenset[str]:
        """Names of the images that the stacks start machines from."""
        vault = {self.vault.image} if self.vault else set()
        runner = {self.runner.image, self.runner.worker_image} if self.runner else set()
        return frozenset(vault | runner)

    @property
    def catalog_bucket(self) -> str:
        """The bucket in `catalog`."""
        return bucket_name(self.catalog)

    @property
    def catalog_prefix(self) -> str:
        """The prefix in `catalog`."""
        return self.catalog.removeprefix("s3://").partition("/")[2]


@dataclass(frozen=True)
class Settings:
    """An environment, and the settings of this run.

    `stand_in` is true if a local server replaces AWS: it serves plain HTTP, and buckets by path. `file` is the file of
    the environment, if it has one.
    """

    environment: Environment
    catalog: str
    stand_in: bool
    file: Path | None = None

    def where(self, *keys: str | int) -> str:
        """`file:line` of nested keys of the environment; empty without a file."""
        return yamlfile.where(self.file, keys) if self.file else ""

    @property
    def catalog_source(self) -> str:
        """The variable or the line that names the catalog."""
        return CATALOG_VARIABLE if self.catalog != self.environment.catalog else self.where("catalog")


def load_settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    """The environment that BAKERY_ENVIRONMENT names; UsageError if it is absent or invalid.

    BAKERY_CATALOG names another catalog, as for the command line.
    """
    path = _find_file(folder, environ.get("BAKERY_ENVIRONMENT") or DEFAULT_ENVIRONMENT)
    environment = _read_environment(path)
    catalog = environ.get(CATALOG_VARIABLE) or environment.catalog
    return Settings(environment, catalog, environ.get("AWS_ENDPOINT_URL", "").startswith("http://"), path)


def bucket_name(location: str) -> str:
    """The bucket in s3://BUCKET/PREFIX."""
    return location.removeprefix("s3://").partition("/")[0]


def replica_bucket(bucket: str) -> str:
    """The bucket of the catalog's replica."""
    return f"{bucket}{REPLICA_SUFFIX}"


def aws_partition(region: str) -> str:
    """The AWS partition of a region: the part of an ARN after `arn`."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def node_role_arn(environment: str, account: str, home_region: str) -> str:
    """The ARN of the role of Vault's nodes, which does not have to exist."""
    return f"arn:{aws_partition(home_region)}:iam::{account}:role/bakery-{environment}-vault"


def dns_suffix(region: str) -> str:
    """The domain of the endpoints of a region."""
    return "amazonaws.com.cn" if aws_partition(region) == "aws-cn" else "amazonaws.com"


def _find_file(folder: Path, name: str) -> Path:
    names = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in names:
        hint = " ".join(filter(None, [suggest(name, names), f"BAKERY_ENVIRONMENT can be {', '.join(names)}"]))
        raise UsageError(f"no environment named '{name}'", where=str(folder), hint=hint)
    return folder / f"{name}.yaml"


def _read_environment(path: Path) -> Environment:
    text = yamlfile.Reader().read(path)
    _refuse_templates(path, json.loads(text))
    environment = validate(Environment, "environment", path, text)
    if environment.name != path.stem:
        raise UsageError(
            f"name is '{environment.name}', but the file is {path.name}",
            where=yamlfile.where(path, ("name",)),
            hint="give both the same name",
        )
    return environment


def _refuse_templates(path: Path, data: object) -> None:
    """UsageError for texts that Terraform would evaluate, which it explains by a line of another file."""
    raise_all(
        [
            UsageError(
                f"{'.'.join(map(str, keys))}: Terraform would evaluate {sign}",
                where=yamlfile.where(path, keys),
                hint="write the text without it",
            )
            for keys, text in _list_texts(data)
            for sign in ("${", "%{")
            if sign in text
        ]
    )


def _list_texts(data: object) -> Iterator[tuple[Keys, str]]:
    """Every text in the content of a file, keys of mappings included, with its keys."""
    for keys, part in yamlfile.walk(data):
        yield from ((keys, text) for text in (*keys[-1:], part) if isinstance(text, str))
