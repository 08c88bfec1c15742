"""Builds in AWS: amazon-ebs, which also copies the image to the other regions and shares it."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from bakery.clouds.aws.settings import AwsBase, AwsDistribution, AwsNetwork
from bakery.clouds.builder import RemoteBuilder, require, ssh_variables
from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.model.definition import ImageDefinition

# Names in Vault's AWS engine (aws/creds, aws/sts) -> variables that every AWS SDK reads. Static keys have no token.
VARIABLES = {
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
    "security_token": "AWS_SESSION_TOKEN",
}
REQUIRED = ("access_key", "secret_key")
# The other login that an SDK finds in the environment: a role for a token of the system that runs the job.
WEB_IDENTITY = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")


def source(definition: ImageDefinition) -> str:
    return "amazon-ebs.windows" if definition.windows else "amazon-ebs.linux"


def variables(job: Job) -> dict[str, Any]:
    base, settings = job.definition.base.of(AwsBase), job.definition.distribution.of(AwsDistribution)
    assert base and settings
    ami = base.ami.model_dump() if base.ami else {"name": "", "owner": ""}
    return {
        "region": settings.build_location,
        "copy_regions": settings.regions[1:],
        "accounts": settings.accounts,
        "kms_alias": settings.key_alias,
        "source_ami": job.source or (job.vendor_base.identity if job.vendor_base else ""),
        "source_filter": ami,
        "instance_type": base.instance_type,
        "user": base.user,
        "instance_profile": base.instance_profile or "",
        "endpoint": os.environ.get("AWS_ENDPOINT_URL", ""),
        "secrets": job.secret_references,
        **_network_variables(base.network),
        **ssh_variables(job, "10m"),
    }


def _network_variables(network: AwsNetwork | None) -> dict[str, Any]:
    """Without a network, the plugin takes the default VPC, and the subnet decides about a public address."""
    return {
        "vpc": (network and network.vpc) or "",
        "subnet": (network and network.subnet) or "",
        "subnet_tags": dict(network.subnet_tags) if network else {},
        "security_groups": network.security_groups if network else (),
        "public_address": network.public_address if network else None,
        "session_manager": network.session_manager if network else False,
        "access_from": (network and network.access_from) or _own_addresses(),
    }


def _own_addresses() -> tuple[str, ...]:
    """The addresses by which a stand-in on loopback sees this machine; for AWS the plugin asks for the public one."""
    host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname or ""
    try:
        return ("127.0.0.0/8",) if ip_address(host).is_loopback else ()
    except ValueError:
        return ()


def environment(fields: Mapping[str, str]) -> dict[str, str]:
    """The variables of a lease or a KV secret (BakeryError if it is neither), and the endpoint that the user set.

    The plugin follows the template's endpoint in the first region only (1.8.2, GetRegionConn), and the variable in all.
    """
    require(fields, REQUIRED, "AWS")
    endpoint = {name: os.environ[name] for name in ("AWS_ENDPOINT_URL",) if name in os.environ}
    return {variable: fields[name] for name, variable in VARIABLES.items() if fields.get(name)} | endpoint


def ids(build: Build) -> dict[str, str]:
    """Parse `us-east-1:ami-1,us-west-2:ami-2` into image IDs by region."""
    return dict(part.split(":", 1) for part in build.artifact_id.split(","))


# The secret parts of the logins that an SDK finds in the environment.
SECRET = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
BUILDER = RemoteBuilder(
    "aws",
    "bake-public",
    "packer-plugin-amazon",
    source,
    variables,
    environment=environment,
    ids=ids,
    own="AWS_",
    own_secrets=SECRET,
)
