"""A small evaluator of IAM policies: whether a role may make a call, and whether it takes a token.

It follows "Policy evaluation logic" of the IAM user guide: a statement that denies beats all that allow. A call is
allowed if it is allowed on every resource that it touches. The evaluator knows the operators below, and refuses others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Statement = Mapping[str, Any]


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
    return all(_allows_one(known, action, resource, {**(request or {}), **resource.keys}) for resource in resources)


def takes(trust: Statement, **claims: str) -> bool:
    """Whether a role can be assumed by a token with these claims, as AWS sees them."""
    return trust["Effect"] == "Allow" and _holds(trust["Condition"], claims)


def _allows_one(statements: Sequence[Statement], action: str, resource: Resource, keys: Mapping[str, str]) -> bool:
    effects = {
        statement["Effect"]
        for statement in statements
        if _any_like(action, statement["Action"])
        and _covers(statement, resource.arn)
        and _holds(statement.get("Condition", {}), keys)
    }
    return effects == {"Allow"}


def _covers(statement: Statement, arn: str) -> bool:
    if "NotResource" in statement:
        return not _any_like(arn, statement["NotResource"])
    return _any_like(arn, statement["Resource"])


def _holds(conditions: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]) -> bool:
    """The keys of a token are named HOST:CLAIM in a condition, and here by the claim alone."""
    return all(
        _compare(operator, keys.get(key) or keys.get(key.rpartition(":")[2]), expected)
        for operator, pairs in conditions.items()
        for key, expected in pairs.items()
    )


def _compare(operator: str, value: str | None, expected: str | Sequence[str]) -> bool:
    values = [expected] if isinstance(expected, str) else list(expected)
    match operator:
        case "Null":
            return values == [str(value is None).lower()]
        case "StringEquals" | "Bool":
            return value in values
        case "StringLike":
            return value is not None and _any_like(value, values)
        case _:
            raise NotImplementedError(operator)


def _any_like(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
