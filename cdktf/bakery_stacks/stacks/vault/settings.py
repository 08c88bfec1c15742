"""Settings of the vault stack."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bakery.model.fields import Name, TextFormat
from bakery.model.validation import Model, field_error
from bakery_stacks.fields.bucket import Bucket
from bakery_stacks.fields.cidr import Cidr
from bakery_stacks.fields.log_days import LogDays
from bakery_stacks.fields.machine import DisklessType
from bakery_stacks.fields.secret import ParameterName

API_PORT = 8200
SNAPSHOT_ROLE = "bakery-snapshot"  # of Vault's AWS login; the vault-config stack makes it

HostedZone = Annotated[str, TextFormat(r"^Z[A-Z0-9]{1,31}$", "the ID of a Route 53 zone", "Z0123456789ABCDEFGHIJ")]
HostName = Annotated[
    str,
    TextFormat(r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", "a host name with its domain, in lower case", "vault.example.internal"),
]


class Certificate(Model):
    """The TLS certificate of nodes and clients, as PEM in SSM parameters, which nodes read."""

    name: HostName = Field(description="host name of the certificate; nodes and clients verify it")
    chain: ParameterName = Field(description="parameter with the certificate and intermediate certificates")
    key: ParameterName = Field(description="SecureString with its private key")
    authority: ParameterName = Field(description="parameter with the authority's certificate")


class Snapshots(Model):
    """Copies of all data, which the leader writes."""

    bucket: Bucket = Field(description="bucket that the stack makes; globally unique")
    every_hours: int = Field(
        default=6,
        ge=1,
        le=12,
        description="hours between two snapshots; an alarm reports a gap of twice as long",
    )
    keep_days: int = Field(
        default=30, ge=1, description="days after which a snapshot is deleted; nobody can delete it earlier"
    )


class Vault(Model):
    """A raft cluster from the baked image."""

    image: Name = Field(default="vault", description="image of this project; the environment's channel has the version")
    nodes: Literal[3, 5] = Field(default=3, description="3 nodes survive the loss of one, 5 that of two")
    instance_type: DisklessType = Field(
        default="m6i.large", description="EC2 instance type; the default is HashiCorp's advice for small clusters"
    )
    data_gib: int = Field(
        default=100,
        ge=10,
        description="size of the disk for data, by which nodes identify it; must be the larger one",
    )
    audit_gib: int = Field(
        default=50, ge=5, description="size of the disk for audit logs, which are also in the journal"
    )
    certificate: Certificate
    clients: tuple[Cidr, ...] = Field(
        default=(), description="address ranges that may reach Vault; without any, the VPC's own"
    )
    snapshots: Snapshots
    dns_zone: HostedZone | None = Field(
        default=None,
        description="private hosted zone that gets a record of the certificate's name",
    )
    log_days: LogDays = Field(default=90, description="days in which logs of sessions are kept")

    @model_validator(mode="after")
    def _check_disks(self) -> Self:
        if self.data_gib <= self.audit_gib:
            field = "data_gib" if "data_gib" in self.model_fields_set else "audit_gib"
            reason = (
                f"data_gib ({self.data_gib}) must exceed audit_gib ({self.audit_gib}): nodes identify disks by size"
            )
            raise field_error(reason, f"set data_gib to {self.audit_gib + 1} or more", field)
        return self
