"""What a rule is, what it looks at, and how one resource is let off."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bakery_stacks.bindings import Construct

ALLOWED = "bakery:allowed"  # type of the construct metadata that `allow` writes; it is no part of the output


@dataclass(frozen=True)
class Resource:
    """A resource as Terraform will get it, references still unresolved: aws_kms_key and its arguments."""

    kind: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """`find` yields what is wrong with a resource, as the end of a sentence that begins with its address."""

    id: str
    level: Literal["error", "warning"]
    demand: str
    reason: str
    find: Callable[[Resource], Iterator[str]]


def allow(construct: Construct, rule: str, *, because: str) -> None:
    """Let a construct, with all in it, off a rule. `because` is for the reviewer: a whole sentence."""
    construct.node.add_metadata(ALLOWED, {"rule": rule, "because": because})
