"""Statements of the IAM policies in a resource's arguments, in one form."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bakery_stacks.rules.rule import Resource, as_blocks

WILDCARD = "*"
REFERENCE = re.compile(r"\$\{([^{}]|\{[^{}]*\})*\}")


@dataclass(frozen=True)
class Statement:
    """A statement of a policy. `NotAction` and `NotPrincipal` count as everything: they exclude little."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...]  # operator and key of each


def allow_statements(resource: Resource) -> list[Statement]:
    """The statements that allow something."""
    return [statement for statement in policy_statements(resource) if statement.allows]


def policy_statements(resource: Resource) -> Iterator[Statement]:
    """Every statement in every document of a resource."""
    if resource.kind == "data.aws_iam_policy_document":
        yield from map(_from_data, resource.blocks("statement"))
        return
    for document in map(_parse_document, _find_documents(resource)):
        statements = document.get("Statement", [])
        yield from map(_from_json, statements if isinstance(statements, list) else [statements])


def is_readable(resource: Resource) -> bool:
    """Whether rules can read every document; False if Terraform builds one when it runs."""
    return all(map(_parse_document, _find_documents(resource)))


def _find_documents(resource: Resource) -> list[str]:
    texts = _find_texts(resource.arguments)
    return [text for text in texts if "Statement" in text and text.lstrip().startswith(("{", "${jsonencode("))]


def _parse_document(text: str) -> dict[str, Any]:
    """The document, empty if it is no JSON. Quotes inside of references are replaced, since they are not JSON's."""
    try:
        document = json.loads(REFERENCE.sub(lambda match: match[0].replace('"', "'"), text))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _find_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _find_texts(inner)
    elif isinstance(value, str):
        yield value


def _from_json(statement: dict[str, Any]) -> Statement:
    principal = WILDCARD if "NotPrincipal" in statement else statement.get("Principal", [])
    values = principal.values() if isinstance(principal, dict) else [principal]
    return Statement(
        statement["Effect"] == "Allow",
        (WILDCARD,) if "NotAction" in statement else _as_tuple(statement.get("Action")),
        _as_tuple(statement.get("Resource")),
        tuple(name for value in values for name in _as_tuple(value)),
        tuple((operator, key) for operator, keys in statement.get("Condition", {}).items() for key in keys),
    )


def _from_data(statement: dict[str, Any]) -> Statement:
    principals = [
        item for block in as_blocks(statement.get("principals")) for item in _as_tuple(block.get("identifiers"))
    ]
    return Statement(
        statement.get("effect", "Allow") == "Allow",
        (WILDCARD,) if statement.get("not_actions") else _as_tuple(statement.get("actions")),
        _as_tuple(statement.get("resources")),
        (WILDCARD,) if statement.get("not_principals") else tuple(principals),
        tuple((block["test"], block["variable"]) for block in as_blocks(statement.get("condition"))),
    )


def _as_tuple(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else (value,) if value else ()
