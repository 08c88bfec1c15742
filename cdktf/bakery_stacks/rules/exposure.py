"""Rules on what can be reached from outside."""

from collections.abc import Iterator

from bakery_stacks.rules.rule import Resource, Rule

ANYWHERE = ("0.0.0.0/0", "::/0")


def _open_ingress(resource: Resource) -> Iterator[str]:
    if resource.kind != "aws_vpc_security_group_ingress_rule":
        return
    for name in ("cidr_ipv4", "cidr_ipv6"):
        if resource.arguments.get(name) in ANYWHERE:
            yield f"lets in {resource.arguments[name]}"


EXPOSURE = (
    Rule(
        "BKY001",
        "error",
        "no ingress from everywhere",
        "what is open to the internet is tried within minutes",
        _open_ingress,
    ),
)
