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
    """TLS for nodes and clients, as PEM in SSM parameters, which nodes read."""

    name: HostName = Field(description="what the certificate is for; nodes and clients verify it")
    chain: ParameterName = Field(description="parameter with the certificate, and those between it and the authority's")
    key: ParameterName = Field(description="SecureString with its private key")
    authority: ParameterName = Field(description="parameter with the authority's certificate")


class Snapshots(Model):
    """Copies of all data, which the leader writes."""

    bucket: Bucket = Field(description="made by the stack; unique in the world")
    every_hours: int = Field(default=6, ge=1, le=12, description="how much can be lost; an alarm comes after twice")
    keep_days: int = Field(default=30, ge=1, description="nobody can delete one earlier; then it is deleted")


class Vault(Model):
    """A raft cluster from the baked image."""

    image: Name = Field(default="vault", description="one of our images; the environment's channel says which version")
    nodes: Literal[3, 5] = Field(default=3, description="3 survive the loss of one, 5 that of two")
    instance_type: DisklessType = Field(default="m6i.large", description="HashiCorp's advice for small clusters")
    data_gib: int = Field(default=100, ge=10, description="disk for data; the bigger one, which tells them apart")
    audit_gib: int = Field(default=50, ge=5, description="disk for audit logs; the journal has them, too")
    certificate: Certificate
    clients: tuple[Cidr, ...] = Field(default=(), description="ranges that may reach Vault; without any, the VPC's own")
    snapshots: Snapshots
    dns_zone: HostedZone | None = Field(
        default=None, description="private hosted zone in which the certificate's name is made to lead to the cluster"
    )
    log_days: LogDays = Field(default=90, description="how long logs of sessions are kept")

    @model_validator(mode="after")
    def _check_disks(self) -> Self:
        if self.data_gib <= self.audit_gib:
            field = "data_gib" if "data_gib" in self.model_fields_set else "audit_gib"
            reason = (
                f"data_gib ({self.data_gib}) must be more than audit_gib ({self.audit_gib}): nodes tell disks by size"
            )
            raise field_error(reason, f"set data_gib to {self.audit_gib + 1} or more", field)
        return self
