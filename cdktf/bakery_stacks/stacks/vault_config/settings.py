"""Settings of the vault-config stack."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from bakery.clouds.azure.settings import Uuid
from bakery.model.fields import TextFormat, Url
from bakery.model.validation import Model, field_error
from bakery_stacks.fields.arn import RoleArn
from bakery_stacks.stacks.vault.settings import Vault

Duty = Literal["validate", "bake-private", "bake-public", "verify", "publish", "apply", "runner-image"]
DUTIES: tuple[Duty, ...] = get_args(Duty)  # one for each pair of files in vault/duties/

LOOPBACK = ("127.0.0.1", "::1", "localhost")
UNITS = {"s": 1, "m": 60, "h": 3600}
# STS, AssumeRole: from 15 minutes to one hour if a role assumes a role, as Vault's machines do.
SHORTEST_SESSION, LONGEST_SESSION = 900, 3600
# Vault's minimum: a server that restarts must not count as dead (sys/storage/raft/autopilot/configuration).
SHORTEST_DEATH = 60
# The alarm `voters` of the vault stack stops a refresh after 15 minutes with a dead server that still counts.
LONGEST_DEATH = 14 * 60

Duration = Annotated[str, TextFormat(r"^[1-9][0-9]{0,4}[smh]$", "a number with s, m or h", "10m")]
ProjectId = Annotated[str, TextFormat(r"^[1-9][0-9]*$", "the number of a project, not its path", "42")]
Audience = Annotated[
    str,
    TextFormat(r'^[^\s"\\]+$', "text without spaces, quotes and backslashes", "https://vault.example.internal:8200"),
]
AbsolutePath = Annotated[str, TextFormat(r"^(/[\w.-]+)+$", "the absolute path of a file", "/var/log/vault/audit.log")]


def to_seconds(duration: str) -> int:
    """15m -> 900."""
    return int(duration[:-1]) * UNITS[duration[-1]]


def _check_private(url: str) -> str:
    """The URL carries tokens and secrets, so plain HTTP is for a trial on one machine only."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise field_error(f"{url} is not encrypted", "write https://; http:// is for addresses of this machine only")
    return url


def _check_session(duration: str) -> str:
    if not SHORTEST_SESSION <= to_seconds(duration) <= LONGEST_SESSION:
        hint = "choose 15m to 1h; long jobs can request new ones for each phase"
        raise field_error(f"AWS allows no session of {duration} for a role that is assumed by a role", hint)
    return duration


def _check_ttl(duration: str) -> str:
    if to_seconds(duration) > LONGEST_SESSION:
        raise field_error(f"{duration} is longer than the job's token, which ends after an hour", "choose 1h or less")
    return duration


def _check_dead_after(duration: str) -> str:
    if to_seconds(duration) < SHORTEST_DEATH:
        raise field_error(f"Vault does not accept {duration}: its minimum is a minute", "choose 1m or more")
    return duration


PrivateUrl = Annotated[Url, AfterValidator(_check_private)]


class GitLab(Model):
    """The GitLab whose jobs may log in."""

    url: PrivateUrl = Field(description="the issuer of its ID tokens, which Vault must reach for their keys")
    project_id: ProjectId = Field(description="number of the project whose jobs may log in")
    audience: Audience = Field(
        description="`vault_audience` of the pipeline: `aud` of its tokens without /DUTY; the address of Vault is usual"
    )
    duties: Annotated[tuple[Duty, ...], Field(min_length=1)] = Field(
        default=DUTIES, description="duties that jobs can log in for; each has its files in vault/duties/"
    )
    ca_pem: str | None = Field(default=None, description="certificate of GitLab's own certificate authority, as PEM")


class AssumedRole(Model):
    """A role of AWS that Vault issues sessions of."""

    role_arn: RoleArn = Field(
        description="role in the environment's account, which trusts the role of Vault's machines"
    )
    ttl: Annotated[Duration, AfterValidator(_check_session)] = Field(default="1h", description="duration of a session")


class AwsEngine(Model):
    """Credentials of AWS for jobs. Vault logs in with the role of its machines, so it stores no key."""

    bake: AssumedRole = Field(description="role for builds in AWS: aws/sts/bake")
    publish: AssumedRole = Field(description="role for publishing: aws/sts/publish")
    apply: AssumedRole = Field(description="role for Terraform: aws/sts/apply")


class AzureEngine(Model):
    """Credentials of Azure for jobs. Vault's own login is set here only if it needs no secret."""

    tenant: Uuid = Field(description="subscription of the application that bakes")
    subscription: Uuid = Field(description="resource group of builds")
    client_id: Uuid | None = Field(
        default=None, description="client ID of Vault's own application, whose secret is set by hand"
    )
    identity_token_audience: Audience | None = Field(
        default=None, description="Vault logs in with a token that it signs itself, without a secret (Enterprise only)"
    )
    application_object_id: Uuid | None = Field(
        default=None,
        description="the application that bakes: azure/creds/bake; set it when Vault can log in",
    )
    ttl: Annotated[Duration, AfterValidator(_check_ttl)] = Field(default="1h", description="duration of a secret")


class Autopilot(Model):
    """Removal of dead servers from the cluster."""

    nodes: Literal[3, 5] = Field(description="servers of the cluster; a dead one stays listed until it is replaced")
    dead_after: Annotated[Duration, AfterValidator(_check_dead_after)] = Field(
        default="10m",
        description="time until a server counts as dead: longer than a reboot and than the first copy of all data",
    )


class VaultConfig(Model):
    """The content of Vault: engines, logins, policies, audit devices."""

    address: PrivateUrl = Field(description="address of Vault, for Terraform; VAULT_TOKEN must be an administrator's")
    gitlab: GitLab = Field(description="the GitLab whose jobs may log in")
    audit_log: AbsolutePath = Field(
        default="/var/log/vault/audit.log", description="file of the first audit device, on a disk of its own"
    )
    aws: AwsEngine | None = Field(default=None, description="credentials of AWS for jobs")
    azure: AzureEngine | None = Field(default=None, description="credentials of Azure for jobs")
    autopilot: Autopilot | None = Field(default=None, description="for a cluster with integrated storage (raft)")
    snapshot_role_arn: RoleArn | None = Field(
        default=None, description="role of the machines that take snapshots: they log in by it, at auth/aws"
    )

    def check_against(self, account: str, partition: str, cluster: Vault | None, nodes: str) -> None:
        """Raise an error for a setting that does not fit the environment.

        `cluster` has the settings of its own cluster, if it has one, and `nodes` is the ARN of the role of its nodes.
        """
        for keys, arn in self._role_arns():
            _require_own(arn, account, partition, *keys)
        if cluster and self.autopilot and self.autopilot.nodes != cluster.nodes:
            hint = f"write {cluster.nodes}, too"
            raise field_error(f"the cluster has {cluster.nodes} nodes", hint, "autopilot", "nodes")
        if cluster and not self.autopilot:
            reason = "no setting removes the nodes that a new image replaces, so the others would lose their majority"
            raise field_error(reason, f"add autopilot with nodes: {cluster.nodes}", "autopilot")
        if cluster and self.autopilot and to_seconds(self.autopilot.dead_after) > LONGEST_DEATH:
            reason = "a replaced node would count as a voter until an alarm stops the refresh"
            raise field_error(reason, f"choose {LONGEST_DEATH // 60}m or less", "autopilot", "dead_after")
        if cluster and urlsplit(self.address).hostname != cluster.certificate.name:
            name = cluster.certificate.name
            raise field_error(f"the cluster is known as {name}", f"write https://{name}:8200", "address")

        if cluster and self.snapshot_role_arn and self.snapshot_role_arn != nodes:
            raise field_error("it is not the role of the cluster's nodes", f"write {nodes}", "snapshot_role_arn")

    def _role_arns(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.snapshot_role_arn:
            yield ("snapshot_role_arn",), self.snapshot_role_arn
        if self.aws:
            yield ("aws", "bake", "role_arn"), self.aws.bake.role_arn
            yield ("aws", "publish", "role_arn"), self.aws.publish.role_arn
            yield ("aws", "apply", "role_arn"), self.aws.apply.role_arn


def _require_own(arn: str, account: str, partition: str, *keys: str) -> None:
    _, of_partition, _, _, of_account, _ = arn.split(":", 5)
    if of_partition != partition:
        raise field_error(
            f"{arn} is in another AWS partition than the regions", f"begin it with arn:{partition}:", *keys
        )
    if of_account != account:
        raise field_error(f"{arn} is not of account {account}", "name a role of the environment's account", *keys)
