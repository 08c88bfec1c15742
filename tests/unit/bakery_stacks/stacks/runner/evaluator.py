"""A small evaluator of IAM policies: whether a role may make a call, and whether it takes a token.

It follows "Policy evaluation logic" of the IAM user guide: a statement that denies beats all that allow. It knows the
operators below, and refuses others.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Statement = Mapping[str, Any]


def may(statements: Sequence[Statement], action: str, resource: str, **keys: str) -> bool:
    """Whether the statements allow an action on a resource, by its ARN. `keys` are those of conditions."""
    effects = {
        statement["Effect"]
        for statement in statements
        if _any_like(action, statement["Action"])
        and _any_like(resource, statement["Resource"])
        and _holds(statement.get("Condition", {}), keys)
    }
    return effects == {"Allow"}


def takes(trust: Statement, **claims: str) -> bool:
    """Whether a role can be assumed by a token with these claims, as AWS sees them."""
    return trust["Effect"] == "Allow" and _holds(trust["Condition"], claims)


def _holds(conditions: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]) -> bool:
    """The keys of a token are named HOST:CLAIM in a condition, and here by the claim alone."""
    return all(
        _compare(operator, keys.get(key) or keys.get(key.rpartition(":")[2]), expected)
        for operator, pairs in conditions.items()
        for key, expected in pairs.items()
    )


def _compare(operator: str, value: str | None, expected: str | Sequence[str]) -> bool:
    values = [expected] if isinstance(expected, str) else expected
    if operator == "StringEquals":
        return value in values
    if operator == "StringLike":
        return value is not None and _any_like(value, values)
    if operator == "Null":
        return values == [str(value is None).lower()]
    if operator == "Bool":
        return value in values
    raise NotImplementedError(operator)


def _any_like(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
