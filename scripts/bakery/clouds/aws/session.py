"""Accounts and their clients. A client is made by the thread that needs it first, then shared by all."""

import gc
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver
from botocore.exceptions import NoCredentialsError
from botocore.loaders import create_loader

from bakery.clouds.aws.calls import CONFIG, explain_errors, try_all
from bakery.clouds.aws.clients import EBSClient, EC2Client, SSMClient, STSClient
from bakery.clouds.aws.rates import limit_rate
from bakery.clouds.aws.roles import RoleCredentials
from bakery.host.aws_variables import check_variables, explain_settings
from bakery.host.errors import BakeryError
from bakery.model.documents import Location

# The first call shows whether AWS can be reached at all; a user should not wait a minute to learn it.
QUICK = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 4}))

_MODELS = create_loader()  # parsed API models, shared by all sessions: reading EC2's alone takes 0.2 s
_making = threading.Lock()  # sessions of boto3 are not thread-safe, and one client after another takes no longer

Service = Literal["ebs", "ec2", "kms", "ssm", "sts"]

# Names in Vault's AWS engine -> names in boto3.
LEASE = {
    "access_key": "aws_access_key_id",
    "secret_key": "aws_secret_access_key",
    "security_token": "aws_session_token",
}
NO_CREDENTIALS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Account:
    """An AWS account that the bakery is logged in to. `role` are an assumed role's keys, None for the own account."""

    number: str
    partition: str
    session: boto3.Session = field(repr=False)
    role: RoleCredentials | None = field(default=None, repr=False)
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

    def _cached_client(self, service: Service, region: str) -> Any:
        """The client of a service in a region, which stays readable as `client.meta.region_name`."""
        with _making:
            client = self._clients.get((service, region))
            if client is None:
                client = self._clients[service, region] = self._make_client(service, region)
        return client

    def _make_client(self, service: Service, region: str) -> Any:
        # A client is thousands of objects that stay. Looks for garbage among them take half of the time.
        gc.disable()
        try:
            client = self.session.client(service, region_name=region, config=CONFIG)
        finally:
            gc.enable()
        limit_rate(client, self.number)
        if self.role:
            self.role.renew_for(client)
        return client

    def ec2(self, regions: Iterable[str]) -> dict[str, EC2Client]:
        """EC2 clients by region."""
        return {region: self._cached_client("ec2", region) for region in regions}


@dataclass(frozen=True)
class SsmEndpoint:
    """The SSM of one account in one region, which holds parameters. Its client is made when it is needed."""

    account: str
    region: str
    login: Account = field(repr=False, compare=False)

    @property
    def ssm(self) -> SSMClient:
        return self.login.ssm(self.region)

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
    """The own account and those in which a role is assumed. Their sessions last an hour and renew themselves."""

    def __init__(self, own: Account, role: str, home: str) -> None:
        """`role` is its name in other accounts, `home` the region whose STS gives the sessions."""
        self._own = own
        self._role = role
        # Tokens of a regional endpoint are valid in opt-in regions; those of the global endpoint are not.
        self._sts = own.sts(home)
        self._accounts = {own.number: own}

    def connect(self, locations: Iterable[Location]) -> tuple[dict[str, SsmEndpoint], dict[str, BakeryError]]:
        """Endpoints of locations by their text, and the reasons why accounts are unreachable."""
        pairs = list(locations)
        accounts, failures = self.log_in(number for number, _ in pairs)
        endpoints = [SsmEndpoint(number, region, accounts[number]) for number, region in pairs if number in accounts]
        return {str(endpoint): endpoint for endpoint in endpoints}, failures

    def log_in(self, numbers: Iterable[str]) -> tuple[dict[str, Account], dict[str, BakeryError]]:
        """Accounts by number, and the reasons why some are unreachable."""
        missing = {number: number for number in numbers if number not in self._accounts}
        fresh, failures = try_all(missing, lambda number: _log_in(self._own, self._sts, number, self._role))
        self._accounts |= fresh
        return self._accounts, failures


def _log_in(own: Account, sts: STSClient, number: str, name: str) -> Account:
    """Assume the role of this name in an account."""
    role = RoleCredentials(lambda: _assume_role(sts, f"arn:{own.partition}:iam::{number}:role/{name}", number))
    session = core_session()
    session.register_component("credential_provider", CredentialResolver([_FixedProvider(role)]))
    return Account(number, own.partition, boto3.Session(botocore_session=session), role)


class _FixedProvider(CredentialProvider):
    """Gives a session of botocore its credentials."""

    METHOD = CANONICAL_NAME = "assume-role"

    def __init__(self, role: RoleCredentials) -> None:
        super().__init__()
        self._role = role

    def load(self) -> RoleCredentials:
        return self._role


def _assume_role(sts: STSClient, arn: str, number: str) -> dict[str, str]:
    """Keys and their end, in botocore's names."""
    try:
        with explain_errors(f"assume {arn}", sts.meta.region_name):
            keys = sts.assume_role(RoleArn=arn, RoleSessionName="bakery-publish")["Credentials"]
    except BakeryError as error:
        name = arn.rpartition("/")[2]
        error.hint = f"create the role {name} in account {number} (bakery apply consumer-{number})"
        raise
    return {
        "access_key": keys["AccessKeyId"],
        "secret_key": keys["SecretAccessKey"],
        "token": keys["SessionToken"],
        "expiry_time": keys["Expiration"].isoformat(),
    }
