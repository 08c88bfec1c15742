"""A small evaluator of IAM policies: enough to ask whether a role may make a call.

It follows "Policy evaluation logic" of the IAM user guide for statements that allow. A call is allowed if it is allowed
on every resource that it touches. It knows the operators below, and refuses others.
"""

from collections.abc import Mapping, Sequence
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
    statements: Sequence[Statement], action: str, *resources: Resource, request: Mapping[str, str] | None = None
) -> bool:
    """Whether a call is allowed; `request` has the keys of its conditions that hold for all resources."""
    return all(
        _allows_one(statements, action, resource, {**(request or {}), **resource.keys}) for resource in resources
    )


def _allows_one(statements: Sequence[Statement], action: str, resource: Resource, keys: Mapping[str, str]) -> bool:
    assert all(statement["Effect"] == "Allow" for statement in statements), "no other effect is evaluated"
    return any(
        any(fnmatchcase(action, pattern) for pattern in statement["Action"])
        and any(fnmatchcase(resource.arn, pattern) for pattern in statement["Resource"])
        and _holds(statement.get("Condition", {}), keys)
        for statement in statements
    )


def _holds(conditions: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]) -> bool:
    return all(
        _compare(operator, keys.get(key), [expected] if isinstance(expected, str) else expected)
        for operator, pairs in conditions.items()
        for key, expected in pairs.items()
    )


def _compare(operator: str, value: str | None, expected: Sequence[str]) -> bool:
    if operator == "Null":
        return expected == [str(value is None).lower()]
    if operator in ("StringEquals", "Bool"):
        return value in expected
    if operator == "StringLike":
        return value is not None and any(fnmatchcase(value, pattern) for pattern in expected)
    raise NotImplementedError(operator)
