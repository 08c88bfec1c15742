"""Settings of the network stack."""

from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.model.fields import TextFormat
from bakery.model.validation import Model, field_error
from bakery_stacks.fields.cidr import Cidr
from bakery_stacks.fields.log_days import LogDays

ZONES = 3  # a cluster of three nodes survives the loss of one zone only if each node has its own
BIGGEST, SMALLEST = 16, 28  # prefix lengths that VPCs and subnets may have (VPC user guide, "VPC CIDR blocks")


Zone = Annotated[str, TextFormat(r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$", "the name of an availability zone", "eu-west-1a")]
VpcId = Annotated[str, TextFormat(r"^vpc-[0-9a-f]{8,17}$", "the ID of a VPC", "vpc-0123456789abcdef0")]
SubnetId = Annotated[str, TextFormat(r"^subnet-[0-9a-f]{8,17}$", "the ID of a subnet", "subnet-0123456789abcdef0")]


class Existing(Model):
    """An existing VPC. Plans fail if a subnet is not in it, or if two are in one zone."""

    vpc: VpcId = Field(description="its ID")
    subnets: Annotated[tuple[SubnetId, ...], Field(min_length=ZONES)] = Field(
        description="private subnets, each in a zone of its own, which can reach AWS's services"
    )


class Network(Model):
    """The network of the other stacks' machines: an existing VPC, or one that the stack creates."""

    existing: Existing | None = Field(default=None, description="use this VPC, and make none")
    cidr: Cidr | None = Field(default=None, description="address range of the VPC to make")
    subnets: dict[Zone, Cidr] = Field(default_factory=dict, description="zone -> address range of its private subnet")
    nat: Cidr | None = Field(
        default=None,
        description="range of a public subnet for one NAT gateway; without it, the VPC has no internet access",
    )
    flow_log_days: LogDays = Field(
        default=90, description="days in which records of accepted and refused connections are kept"
    )

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        extra = [name for name in ("cidr", "subnets", "nat") if getattr(self, name)]
        if self.existing and extra:
            raise field_error("it is for a new VPC, but existing names a VPC", "keep one of the two", extra[0])
        if not self.existing and not self.cidr:
            reason = "it names neither an existing VPC nor the range of a new one"
            raise field_error(reason, "add cidr: 10.0.0.0/16 with subnets, or existing with vpc and subnets")
        if not self.existing and len(self.subnets) < ZONES:
            reason = f"it needs {ZONES} zones or more, and has {len(self.subnets)}"
            raise field_error(reason, "add a line ZONE: RANGE for each, such as eu-west-1c: 10.0.32.0/20", "subnets")
        return self

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        ranges = dict(self._named_ranges())
        for keys, cidr_range in ranges.items():
            if not BIGGEST <= cidr_range.prefixlen <= SMALLEST:
                reason = f"AWS accepts no range of the size /{cidr_range.prefixlen}"
                raise field_error(reason, f"choose a length between /{BIGGEST} and /{SMALLEST}", *keys)
        if vpc := ranges.pop(("cidr",), None):
            _refuse_misplaced(vpc, ranges)
        return self

    def _named_ranges(self) -> Iterator[tuple[tuple[str, ...], IPv4Network]]:
        subnets = ((("subnets", zone), cidr) for zone, cidr in self.subnets.items())
        cidrs: list[tuple[tuple[str, ...], str | None]] = [(("cidr",), self.cidr), *subnets, (("nat",), self.nat)]
        return ((keys, IPv4Network(cidr)) for keys, cidr in cidrs if cidr)


def _refuse_misplaced(vpc: IPv4Network, ranges: Mapping[tuple[str, ...], IPv4Network]) -> None:
    """Raise an error for the first range that is outside of the VPC or overlaps an earlier one."""
    checked_ranges: dict[tuple[str, ...], IPv4Network] = {}
    for keys, cidr in ranges.items():
        example = _suggest_range(vpc, cidr.prefixlen, ranges.values())
        hint = f"choose a range in cidr {vpc} that no other subnet has{example}"
        if not cidr.subnet_of(vpc):
            raise field_error(f"{cidr} is not inside of cidr {vpc}", hint, *keys)
        for other_keys, other_cidr in checked_ranges.items():
            if cidr.overlaps(other_cidr):
                raise field_error(f"{cidr} and {other_cidr} of {other_keys[-1]} overlap", hint, *keys)
        checked_ranges[keys] = cidr


def _suggest_range(vpc: IPv4Network, prefix_length: int, ranges: Collection[IPv4Network]) -> str:
    """The first free range of a length, as the end of a hint; empty if there is none."""
    if prefix_length < vpc.prefixlen:
        return ""
    candidates = vpc.subnets(new_prefix=prefix_length)
    free = next((candidate for candidate in candidates if not any(map(candidate.overlaps, ranges))), None)
    return f", such as {free}" if free else ""
