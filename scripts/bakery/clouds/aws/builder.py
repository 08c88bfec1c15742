"""Builds in AWS: amazon-ebs, which also copies the image to the other regions and shares it."""

import os
from collections.abc import Mapping
from typing import Any

from bakery.clouds.aws.settings import AwsBase, AwsDistribution
from bakery.clouds.builder import RemoteBuilder, require
from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.machine import ssh
from bakery.machine.timeout import ssh_timeout
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
        "kms_alias": settings.kms_alias or "",
        "source_ami": job.source or (job.vendor_base.identity if job.vendor_base else ""),
        "source_filter": ami,
        "instance_type": base.instance_type,
        "user": base.user,
        "endpoint": os.environ.get("AWS_ENDPOINT_URL", ""),
        "ssh_private_key": str(ssh.make_key(job.scratch)),
        "ssh_timeout": ssh_timeout("10m"),
        "secrets": job.secret_references,
    }


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
