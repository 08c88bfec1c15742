"""IAM documents in a resource's arguments: their statements, in one shape however they were written."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bakery_stacks.rules.rule import Resource, as_blocks

ANYBODY = "*"
REFERENCE = re.compile(r"\$\{([^{}]|\{[^{}]*\})*\}")


@dataclass(frozen=True)
class Statement:
    """What one allows or denies. `NotAction` and `NotPrincipal` count as everything: they leave little out."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...]  # operator and key of each


def allow_statements(resource: Resource) -> list[Statement]:
    """The statements that allow something."""
    return [one for one in policy_statements(resource) if one.allows]


def policy_statements(resource: Resource) -> Iterator[Statement]:
    """Every statement in every document of a resource."""
    if resource.kind == "data.aws_iam_policy_document":
        yield from map(_of_data, resource.blocks("statement"))
        return
    for document in map(_parse_document, _find_documents(resource)):
        found = document.get("Statement", [])
        yield from map(_of_json, found if isinstance(found, list) else [found])


def is_readable(resource: Resource) -> bool:
    """False with a document that Terraform puts together when it runs."""
    return all(map(_parse_document, _find_documents(resource)))


def _find_documents(resource: Resource) -> list[str]:
    texts = _find_texts(resource.arguments)
    return [text for text in texts if "Statement" in text and text.lstrip().startswith(("{", "${jsonencode("))]


def _parse_document(text: str) -> dict[str, Any]:
    """Empty where it is no JSON. References may have quotes of their own, which are not JSON's."""
    try:
        found = json.loads(REFERENCE.sub(lambda found: found[0].replace('"', "'"), text))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _find_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _find_texts(inner)
    elif isinstance(value, str):
        yield value


def _of_json(found: dict[str, Any]) -> Statement:
    principal = ANYBODY if "NotPrincipal" in found else found.get("Principal", [])
    named = principal.values() if isinstance(principal, dict) else [principal]
    return Statement(
        found["Effect"] == "Allow",
        (ANYBODY,) if "NotAction" in found else _as_tuple(found.get("Action")),
        _as_tuple(found.get("Resource")),
        tuple(one for some in named for one in _as_tuple(some)),
        tuple((operator, key) for operator, keys in found.get("Condition", {}).items() for key in keys),
    )


def _of_data(found: dict[str, Any]) -> Statement:
    named = [one for block in as_blocks(found.get("principals")) for one in _as_tuple(block.get("identifiers"))]
    return Statement(
        found.get("effect", "Allow") == "Allow",
        (ANYBODY,) if found.get("not_actions") else _as_tuple(found.get("actions")),
        _as_tuple(found.get("resources")),
        (ANYBODY,) if found.get("not_principals") else tuple(named),
        tuple((block["test"], block["variable"]) for block in as_blocks(found.get("condition"))),
    )


def _as_tuple(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else (value,) if value else ()
