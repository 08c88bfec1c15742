"""The network stack: closed, described, with one private subnet in each zone; or somebody else's, looked at."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from bakery.catalog import Catalog
from bakery_stacks.config import Environment, Settings
from bakery_stacks.stacks.network.endpoints import INTERFACES
from bakery_stacks.stacks.network.settings import Existing, Network

ZONES = {f"eu-west-1{zone}": f"10.0.{number * 16}.0/20" for number, zone in enumerate("abc")}
SECTION = Network(cidr="10.0.0.0/16", subnets=ZONES, nat="10.0.255.0/28")
EXISTING = Existing(vpc="vpc-0123abcd", subnets=("subnet-0000000a", "subnet-0000000b", "subnet-0000000c"))


@pytest.fixture(scope="module")
def synthesized(synth: Any, nothing: Catalog, environment: Environment) -> Any:
    def run(section: Network) -> dict[str, Any]:
        with_section = environment.model_copy(update={"network": section})
        found: dict[str, Any] = synth(Settings(with_section, with_section.catalog, stand_in=False), nothing)["network"]
        return found

    return run


@pytest.fixture(scope="module")
def stack(synthesized: Any) -> dict[str, Any]:
    found: dict[str, Any] = synthesized(SECTION)
    return found


def test_the_stack_is_as_it_was(stack: dict[str, Any], snapshot: SnapshotAssertion) -> None:
    assert stack == snapshot(extension_class=JSONSnapshotExtension)


def test_every_zone_has_a_private_subnet_with_a_way_out(stack: dict[str, Any]) -> None:
    resources = stack["resource"]
    private = {one["availability_zone"]: one for name, one in resources["aws_subnet"].items() if "nat" not in name}
    assert {zone: subnet["cidr_block"] for zone, subnet in private.items()} == ZONES
    assert not any("map_public_ip_on_launch" in subnet for subnet in resources["aws_subnet"].values())
    ways = [route for route in resources["aws_route"].values() if "nat_gateway_id" in route]
    assert len(ways) == len(ZONES)
    assert {route["destination_cidr_block"] for route in ways} == {"0.0.0.0/0"}


def test_without_nat_nothing_leads_to_the_internet(synthesized: Any) -> None:
    resources = synthesized(SECTION.model_copy(update={"nat": None}))["resource"]
    assert not {"aws_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_route"} & set(resources)


def test_services_of_aws_are_inside(stack: dict[str, Any]) -> None:
    endpoints = {one["service_name"]: one for one in stack["resource"]["aws_vpc_endpoint"].values()}
    assert set(endpoints) == {f"com.amazonaws.eu-west-1.{service}" for service in (*INTERFACES, "s3")}
    ssm = endpoints["com.amazonaws.eu-west-1.ssm"]
    assert ssm["private_dns_enabled"] is True
    assert len(ssm["subnet_ids"]) == len(ZONES)
    assert len(endpoints["com.amazonaws.eu-west-1.s3"]["route_table_ids"]) == len(ZONES)


def test_what_nobody_opened_is_closed(stack: dict[str, Any]) -> None:
    resources = stack["resource"]
    [closed] = resources["aws_default_security_group"].values()
    assert not {"ingress", "egress"} & set(closed)
    [rule] = resources["aws_vpc_security_group_ingress_rule"].values()
    assert (rule["cidr_ipv4"], rule["from_port"], rule["to_port"]) == ("10.0.0.0/16", 443, 443)


def test_connections_are_logged_and_encrypted(stack: dict[str, Any]) -> None:
    resources = stack["resource"]
    [log] = resources["aws_cloudwatch_log_group"].values()
    assert log["retention_in_days"] == 90
    assert "aws_kms_key" in log["kms_key_id"]
    [flow] = resources["aws_flow_log"].values()
    assert flow["traffic_type"] == "ALL"
    [role] = resources["aws_iam_role"].values()
    [trust] = json.loads(role["assume_role_policy"])["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:ec2:eu-west-1:123456789012:vpc-flow-log/*"},
    }


def test_a_network_that_exists_is_only_looked_at(synthesized: Any) -> None:
    stack = synthesized(Network(existing=EXISTING))
    assert "resource" not in stack
    assert stack["output"]["subnet_ids"]["value"] == list(EXISTING.subnets)
    first, second, third = (subnet["lifecycle"]["postcondition"] for subnet in stack["data"]["aws_subnet"].values())
    assert [check["condition"] for check in first] == ['${self.vpc_id == "vpc-0123abcd"}']
    assert "network.existing: subnet-0000000b is in the zone of another one" in second[1]["error_message"]
    assert third[1]["condition"].count(".availability_zone") == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"existing": EXISTING}, "it is for a new VPC"),
        ({"cidr": None, "subnets": {}, "nat": None}, "neither an existing VPC nor the range of a new one"),
        ({"subnets": dict(list(ZONES.items())[:2])}, "3 zones or more"),
        ({"subnets": {**ZONES, "eu-west-1b": "10.0.8.0/21"}}, "10.0.8.0/21 and 10.0.0.0/20 of eu-west-1a overlap"),
        ({"nat": "10.0.0.0/28"}, "overlap"),
        ({"nat": "10.1.0.0/28"}, "10.1.0.0/28 is not inside of cidr 10.0.0.0/16"),
        ({"nat": "10.0.255.0/29"}, "no range of the size /29"),
        ({"cidr": "10.0.0.0/8"}, "no range of the size /8"),
        ({"cidr": "10.0.0.1/16"}, "10.0.0.1/16 has host bits set"),
        ({"nat": "10.0.999.0/28"}, "Octet 999"),
        ({"nat": "10.0.255.0"}, "must be a range of IPv4 addresses"),
    ],
)
def test_mistakes_are_found_before_any_call(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Network.model_validate({**dict(SECTION), **change})
