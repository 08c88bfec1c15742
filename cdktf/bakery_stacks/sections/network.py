"""What the network stack is told."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from bakery.strict import Model

ZONES = 3  # a cluster of three nodes survives the loss of one zone only if each node has its own
BIGGEST, SMALLEST = 16, 28  # prefix lengths that VPCs and subnets may have (VPC user guide, "VPC CIDR blocks")


def _range(cidr: str) -> str:
    IPv4Network(cidr)
    return cidr


LogDays = Literal[7, 14, 30, 60, 90, 180, 365]  # some of those that CloudWatch can keep
# The pattern wants the length, without which Python means one address.
Cidr = Annotated[str, StringConstraints(pattern=r"^[0-9.]+/[0-9]+$"), AfterValidator(_range)]
Zone = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$")]
VpcId = Annotated[str, StringConstraints(pattern=r"^vpc-[0-9a-f]{8,17}$")]
SubnetId = Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")]


class Existing(Model):
    """A VPC that is there already. Plans fail where a subnet is not in it, or two are in one zone."""

    vpc: VpcId = Field(description="its ID")
    subnets: Annotated[tuple[SubnetId, ...], Field(min_length=ZONES)] = Field(
        description="private subnets, each in a zone of its own, with a way to AWS's services"
    )


class Network(Model):
    """Where the machines of the other stacks are put: a VPC that exists, or one that the stack makes."""

    existing: Existing | None = Field(default=None, description="use this, and make nothing")
    cidr: Cidr | None = Field(default=None, description="address range of the VPC to make")
    subnets: dict[Zone, Cidr] = Field(default_factory=dict, description="zone -> range of its private subnet")
    nat: Cidr | None = Field(
        default=None, description="range of a public subnet for one NAT gateway; without it, no way to the internet"
    )
    flow_log_days: LogDays = Field(default=90, description="how long accepted and refused connections are kept")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.existing and (self.cidr or self.subnets or self.nat):
            raise ValueError("existing says to use a VPC, and cidr, subnets and nat to make one: keep one of both")
        if not self.existing and not self.cidr:
            raise ValueError("it needs either existing or cidr")
        if not self.existing and len(self.subnets) < ZONES:
            raise ValueError(f"subnets must name {ZONES} zones or more")
        return self

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        ranges = dict(self._ranges())
        for name, found in ranges.items():
            if not BIGGEST <= found.prefixlen <= SMALLEST:
                raise ValueError(f"{name} {found} must be between /{BIGGEST} and /{SMALLEST}")
        vpc = ranges.pop("cidr", None)
        for name, found in ranges.items():
            if vpc and not found.subnet_of(vpc):
                raise ValueError(f"{name} {found} is not inside of cidr {vpc}")
        _refuse_overlaps(ranges)
        return self

    def _ranges(self) -> Iterator[tuple[str, IPv4Network]]:
        named = {"cidr": self.cidr, **{f"subnet {zone}": cidr for zone, cidr in self.subnets.items()}, "nat": self.nat}
        for name, cidr in named.items():
            if cidr:
                yield name, IPv4Network(cidr)


def _refuse_overlaps(ranges: dict[str, IPv4Network]) -> None:
    names = list(ranges)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            if ranges[name].overlaps(ranges[other]):
                raise ValueError(f"{name} {ranges[name]} and {other} {ranges[other]} overlap")
