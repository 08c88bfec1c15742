"""Whether a role may make a call, and whether it takes a token, by the evaluator of the AWS stand-in.

A call is allowed if it is allowed on every resource that it touches.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bakery.demo.stand_ins.aws import policies
from bakery.demo.stand_ins.aws.policies import Need, Statement


@dataclass(frozen=True)
class Resource:
    """A resource of a call, with the keys of conditions that AWS knows of it."""

    arn: str
    keys: Mapping[str, str] = field(default_factory=dict)


def allows(
    statements: Iterable[Statement], action: str, *resources: Resource, request: Mapping[str, str] | None = None
) -> bool:
    """Whether a call is allowed; `request` has the keys of its conditions that hold for all resources."""
    known = list(statements)
    needs = [Need(action, resource.arn, {**(request or {}), **resource.keys}) for resource in resources]
    return all(policies.allows(known, need) for need in needs)


def takes(trust: Statement, **claims: str) -> bool:
    """Whether a role can be assumed by a token with these claims; a condition names them HOST:CLAIM."""
    names = {name for pairs in trust["Condition"].values() for name in pairs}
    keys = {name: claims[name.rpartition(":")[2]] for name in names if name.rpartition(":")[2] in claims}
    return trust["Effect"] == "Allow" and policies.holds(trust["Condition"], keys)
