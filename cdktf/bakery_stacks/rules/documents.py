"""IAM documents in a resource's arguments: their statements, in one shape however they were written."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bakery_stacks.rules.rule import Resource, blocks

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


def granted(resource: Resource) -> list[Statement]:
    """The statements that allow something."""
    return [one for one in statements(resource) if one.allows]


def statements(resource: Resource) -> Iterator[Statement]:
    """Every statement in every document of a resource."""
    if resource.kind == "data.aws_iam_policy_document":
        yield from map(_of_data, resource.blocks("statement"))
        return
    for document in map(_parsed, _documents(resource)):
        found = document.get("Statement", [])
        yield from map(_of_json, found if isinstance(found, list) else [found])


def is_readable(resource: Resource) -> bool:
    """False with a document that Terraform puts together when it runs."""
    return all(map(_parsed, _documents(resource)))


def _documents(resource: Resource) -> list[str]:
    texts = _texts(resource.arguments)
    return [text for text in texts if "Statement" in text and text.lstrip().startswith(("{", "${jsonencode("))]


def _parsed(text: str) -> dict[str, Any]:
    """Empty where it is no JSON. References may have quotes of their own, which are not JSON's."""
    try:
        found = json.loads(REFERENCE.sub(lambda found: found[0].replace('"', "'"), text))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _of_json(found: dict[str, Any]) -> Statement:
    principal = ANYBODY if "NotPrincipal" in found else found.get("Principal", [])
    named = principal.values() if isinstance(principal, dict) else [principal]
    return Statement(
        found["Effect"] == "Allow",
        (ANYBODY,) if "NotAction" in found else _listed(found.get("Action")),
        _listed(found.get("Resource")),
        tuple(one for some in named for one in _listed(some)),
        tuple((operator, key) for operator, keys in found.get("Condition", {}).items() for key in keys),
    )


def _of_data(found: dict[str, Any]) -> Statement:
    named = [one for block in blocks(found.get("principals")) for one in _listed(block.get("identifiers"))]
    return Statement(
        found.get("effect", "Allow") == "Allow",
        (ANYBODY,) if found.get("not_actions") else _listed(found.get("actions")),
        _listed(found.get("resources")),
        (ANYBODY,) if found.get("not_principals") else tuple(named),
        tuple((block["test"], block["variable"]) for block in blocks(found.get("condition"))),
    )


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else (value,) if value else ()
