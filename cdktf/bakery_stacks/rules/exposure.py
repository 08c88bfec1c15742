"""Rules on access from outside."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from bakery_stacks.rules.rule import Resource, Rule, Stack, is_known, is_on

# The widest private networks: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193). A wider one includes public addresses.
WIDEST = {4: 8, 6: 7}
PUBLIC_ACLS = ("public-read", "public-read-write", "authenticated-read")
BLOCKS = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


def _open_ingress(resource: Resource, _: Stack) -> Iterator[str]:
    if resource.arguments.get("type", "ingress") != "ingress":  # only aws_security_group_rule has it
        return
    for rule in (resource.arguments, *resource.blocks("ingress")):
        for name in ("cidr_ipv4", "cidr_ipv6", "cidr_blocks", "ipv6_cidr_blocks"):
            for network in _as_list(rule.get(name)):
                if _is_internet(network):
                    yield f"lets in {network}"


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_internet(network: Any) -> bool:
    if not isinstance(network, str) or not is_known(network):
        return False
    try:
        ip_range = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False  # Terraform will refuse it
    return ip_range.prefixlen < WIDEST[ip_range.version]


def _public_address(resource: Resource, _: Stack) -> Iterator[str]:
    for block in (resource.arguments, *resource.blocks("network_interfaces")):
        for name in ("associate_public_ip_address", "map_public_ip_on_launch", "publicly_accessible"):
            if is_on(block.get(name)):
                yield f"has {name}"


def _address_of_machine(resource: Resource, _: Stack) -> Iterator[str]:
    """The address of a NAT gateway names no machine, and nothing can connect to it."""
    for name in ("instance", "instance_id", "network_interface", "network_interface_id"):
        if resource.arguments.get(name):
            yield f"gives a public address to {name}"


def _internet_facing(resource: Resource, _: Stack) -> Iterator[str]:
    internal = resource.arguments.get("internal")
    if is_known(internal) and not is_on(internal):
        yield "is not internal"


def _public_image(resource: Resource, _: Stack) -> Iterator[str]:
    if resource.arguments.get("group") == "all":
        yield "shares an image with everybody"
    if resource.arguments.get("state") == "unblocked":
        yield "lets images or snapshots be shared with everybody"


def _open_bucket(resource: Resource, stack: Stack) -> Iterator[str]:
    access_blocks = stack.referring_to(resource, "aws_s3_bucket_public_access_block", "bucket")
    if not access_blocks:
        yield "has no aws_s3_bucket_public_access_block"


def _weak_block(resource: Resource, _: Stack) -> Iterator[str]:
    for name in BLOCKS:
        value = resource.arguments.get(name)
        if is_known(value) and not is_on(value):
            yield f"does not set {name}"


def _public_acl(resource: Resource, _: Stack) -> Iterator[str]:
    if resource.arguments.get("acl") in PUBLIC_ACLS:
        yield f"has the acl {resource.arguments['acl']}"


EXPOSURE = (
    Rule(
        "BKY001",
        "error",
        "no ingress from everywhere",
        "attackers find an open port on the internet within minutes",
        (
            "aws_vpc_security_group_ingress_rule",
            "aws_security_group",
            "aws_security_group_rule",
            "aws_default_security_group",
        ),
        _open_ingress,
    ),
    Rule(
        "BKY002",
        "error",
        "no public addresses",
        "people connect by SSM, and services by private networks",
        ("aws_instance", "aws_launch_template", "aws_subnet", "aws_db_instance", "aws_rds_cluster_instance"),
        _public_address,
    ),
    Rule(
        "BKY003",
        "error",
        "no public addresses for machines",
        "people connect by SSM, and services by private networks",
        ("aws_eip", "aws_eip_association"),
        _address_of_machine,
    ),
    Rule(
        "BKY004",
        "error",
        "load balancers are internal",
        "an internet-facing one is AWS's default",
        ("aws_lb", "aws_alb", "aws_elb"),
        _internet_facing,
    ),
    Rule(
        "BKY005",
        "error",
        "images and snapshots are not public",
        "everybody can read all data of a public disk, deleted files included",
        ("aws_ami_launch_permission", "aws_ec2_image_block_public_access", "aws_ebs_snapshot_block_public_access"),
        _public_image,
    ),
    Rule(
        "BKY006",
        "error",
        "every bucket blocks public access",
        "later policies and ACLs cannot open it by mistake",
        ("aws_s3_bucket",),
        _open_bucket,
    ),
    Rule(
        "BKY007",
        "error",
        "public access is blocked in all four ways",
        "each of them blocks a different kind of access",
        ("aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"),
        _weak_block,
    ),
    Rule(
        "BKY008",
        "error",
        "no public ACLs",
        "they open objects to everybody, or to every AWS customer",
        ("aws_s3_bucket_acl", "aws_s3_object"),
        _public_acl,
    ),
)
