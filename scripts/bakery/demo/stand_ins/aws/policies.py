"""An evaluator of IAM policies: whether statements allow an action on a resource.

Source: the IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators". A statement
that denies beats all that allow, and without one that allows, a call is refused. Operators, policy variables and
Terraform expressions that the evaluator does not know are NotImplementedError: a guess would make a policy look right.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Statement = Mapping[str, Any]
Values = str | Sequence[str]


@dataclass(frozen=True)
class Need:
    """A right that a call needs: an action on a resource, with the keys of conditions that AWS knows of both."""

    action: str
    arn: str
    keys: Mapping[str, Values] = field(default_factory=dict)


def allows(statements: Iterable[Statement], need: Need) -> bool:
    effects = {statement["Effect"] for statement in statements if applies(statement, need)}
    return effects == {"Allow"}


def applies(statement: Statement, need: Need) -> bool:
    return (
        _covers(statement, "Action", need.action.lower(), str.lower)
        and _covers(statement, "Resource", need.arn)
        and holds(statement.get("Condition", {}), need.keys)
    )


def holds(condition: Mapping[str, Mapping[str, Values]], keys: Mapping[str, Values]) -> bool:
    return all(
        _key_holds(operator, keys.get(key), _listed(expected))
        for operator, pairs in condition.items()
        for key, expected in pairs.items()
    )


def names_action(statement: Statement, action: str) -> bool:
    """Whether a statement is about an action, on whatever resource."""
    return _covers(statement, "Action", action.lower(), str.lower)


def _covers(statement: Statement, element: str, text: str, fold: Any = str) -> bool:
    """Whether `Action` or `Resource` covers a text, or the opposite for `NotAction` or `NotResource`."""
    opposite = f"Not{element}"
    if opposite in statement:
        return not _is_like(text, [fold(pattern) for pattern in _listed(statement[opposite])])
    return _is_like(text, [fold(pattern) for pattern in _listed(statement[element])])


def _key_holds(operator: str, value: Values | None, expected: list[str]) -> bool:
    """One key of a condition. A key that is absent satisfies `IfExists`, `ForAllValues` and operators with `Not`."""
    if operator == "Null":
        return expected == [str(value is None).lower()]
    if operator.endswith("IfExists"):
        return value is None or _key_holds(operator.removesuffix("IfExists"), value, expected)
    values = [] if value is None else _listed(value)
    if operator.startswith("ForAllValues:"):
        return all(_compares(operator.partition(":")[2], one, expected) for one in values)
    if operator.startswith("ForAnyValue:"):
        return any(_compares(operator.partition(":")[2], one, expected) for one in values)
    if not values:
        return "Not" in operator
    return _compares(operator, values[0], expected)


def _compares(operator: str, value: str, expected: list[str]) -> bool:
    match operator:
        case "StringEquals":
            return value in _plain(expected)
        case "StringNotEquals":
            return value not in _plain(expected)
        case "Bool":
            return value.lower() in [text.lower() for text in expected]
        case "StringLike" | "ArnEquals" | "ArnLike":
            return _is_like(value, expected)
        case "StringNotLike" | "ArnNotEquals" | "ArnNotLike":
            return not _is_like(value, expected)
        case _:
            raise NotImplementedError(f"operator {operator} of a policy")


def _is_like(text: str, patterns: list[str]) -> bool:
    """`*` stands for any text and `?` for one character."""
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL)
        for pattern in _plain(patterns)
    )


def _plain(texts: list[str]) -> list[str]:
    for text in texts:
        if "${" in text:
            raise NotImplementedError(f"the variable in {text} of a policy")
    return texts


def _listed(values: Values) -> list[str]:
    return [values] if isinstance(values, str) else list(values)
