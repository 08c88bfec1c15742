"""Accounts and their clients. Sessions are not thread-safe: clients are made on one thread, then shared."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.loaders import create_loader

from bakery.clouds.aws.calls import CONFIG, explain_errors, try_all
from bakery.clouds.aws.clients import EBSClient, EC2Client, SSMClient, STSClient
from bakery.host.aws_variables import check_variables, explain_settings
from bakery.host.errors import BakeryError
from bakery.model.documents import Location

# The first call shows whether AWS can be reached at all; a user should not wait a minute to learn it.
QUICK = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 4}))

# A session of a role lasts an hour, and no step after the look for it takes as long as the rest.
SESSION_SECONDS = 1800.0

_MODELS = create_loader()  # parsed API models, shared by all sessions: reading EC2's alone takes 0.2 s

# Names in Vault's AWS engine -> names in boto3.
LEASE = {
    "access_key": "aws_access_key_id",
    "secret_key": "aws_secret_access_key",
    "security_token": "aws_session_token",
}
NO_CREDENTIALS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Account:
    """An AWS account that the bakery is logged in to. `keys` are an assumed role's, empty for the environment's own."""

    number: str
    partition: str
    session: boto3.Session = field(repr=False)
    keys: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    def ebs(self, region: str) -> EBSClient:
        client: EBSClient = self._cached_client("ebs", region)
        return client

    def ssm(self, region: str) -> SSMClient:
        client: SSMClient = self._cached_client("ssm", region)
        return client

    def sts(self, region: str) -> STSClient:
        client: STSClient = self._cached_client("sts", region)
        return client

    def kms(self, region: str) -> Any:
        return self._cached_client("kms", region)

    def _cached_client(self, service: Literal["ebs", "ec2", "kms", "ssm", "sts"], region: str) -> Any:
        """The client of a service in a region, which stays readable as `client.meta.region_name`."""
        client = self._clients.get((service, region))
        if client is None:
            client = self.session.client(service, region_name=region, config=CONFIG, **self.keys)
            self._clients[service, region] = client
        return client

    def ec2(self, regions: Iterable[str]) -> dict[str, EC2Client]:
        """EC2 clients by region."""
        return {region: self._cached_client("ec2", region) for region in regions}


@dataclass(frozen=True)
class SsmEndpoint:
    """The SSM of one account in one region, which holds parameters."""

    account: str
    region: str
    ssm: SSMClient = field(repr=False, compare=False)

    def __str__(self) -> str:
        return location_name(Location(self.account, self.region))


def location_name(location: Location) -> str:
    """The name of a location, as a key and in messages."""
    return f"{location.account}/{location.region}"


def core_session() -> Any:
    """A botocore session over the shared models."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _MODELS)
    return session


def connect(region: str, credentials: Mapping[str, str] = NO_CREDENTIALS) -> Account:
    """Log in with the fields of a lease of Vault's AWS engine, or with what the environment has: keys, profile, web
    identity, instance role. Endpoints come from the environment."""
    check_variables(os.environ)
    with explain_settings(), explain_errors("log in to AWS", region):
        keys = {name: credentials[field] for field, name in LEASE.items() if credentials.get(field)}
        session = boto3.Session(botocore_session=core_session(), **keys)
        if session.get_credentials() is None:
            raise NoCredentialsError
        identity = session.client("sts", region_name=region, config=QUICK).get_caller_identity()
    return Account(identity["Account"], identity["Arn"].split(":")[1], session)


class Accounts:
    """The own account and those in which a role is assumed, each once for a while: sessions last an hour."""

    def __init__(self, own: Account, role: str, home: str) -> None:
        """`role` is its name in other accounts, `home` the region whose STS gives the sessions."""
        self._own = own
        self._role = role
        # Tokens of a regional endpoint are valid in opt-in regions; those of the global endpoint are not.
        self._sts = own.sts(home)
        self._sessions: dict[str, tuple[Account, float]] = {}

    def connect(self, locations: Iterable[Location]) -> tuple[dict[str, SsmEndpoint], dict[str, BakeryError]]:
        """Endpoints of locations by their text, and the reasons why accounts are unreachable."""
        pairs = list(locations)
        accounts, failures = self.log_in(number for number, _ in pairs)
        endpoints = [
            SsmEndpoint(number, region, accounts[number].ssm(region)) for number, region in pairs if number in accounts
        ]
        return {str(endpoint): endpoint for endpoint in endpoints}, failures

    def log_in(self, numbers: Iterable[str]) -> tuple[dict[str, Account], dict[str, BakeryError]]:
        """Accounts by number, and the reasons why some are unreachable."""
        now = time.monotonic()
        accounts = {self._own.number: self._own}
        accounts |= {number: account for number, (account, until) in self._sessions.items() if until > now}
        foreign = {number: number for number in numbers if number not in accounts}
        fresh, failures = try_all(foreign, lambda number: _assume_role(self._own, self._sts, number, self._role))
        self._sessions |= {number: (account, now + SESSION_SECONDS) for number, account in fresh.items()}
        return accounts | fresh, failures


def _assume_role(own: Account, sts: STSClient, number: str, role: str) -> Account:
    arn = f"arn:{own.partition}:iam::{number}:role/{role}"
    try:
        with explain_errors(f"assume {arn}", sts.meta.region_name):
            keys = sts.assume_role(RoleArn=arn, RoleSessionName="bakery-publish")["Credentials"]
    except BakeryError as error:
        error.hint = f"create the role {role} in account {number} (docs/how-to/run-against-aws.md)"
        raise
    return Account(
        number,
        own.partition,
        own.session,
        {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        },
    )
