"""What IAM would decide, for the parts of policies that tests ask about: StringEquals, wildcards, NotResource."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any


def decide(statements: Iterable[Mapping[str, Any]], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether a role with these statements may act: some statement allows it, and none denies it."""
    effects = {one["Effect"] for one in statements if _applies(one, action, resource, context)}
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    patterns = statement.get("Resource", statement.get("NotResource", ()))
    is_listed = any(fnmatchcase(resource, pattern) for pattern in patterns)
    if action not in statement["Action"] or is_listed is not ("Resource" in statement):
        return False
    conditions = statement.get("Condition", {})
    if unknown := conditions.keys() - {"StringEquals"}:
        raise NotImplementedError(f"operators {sorted(unknown)}")
    return all(context.get(key) in values for key, values in conditions.get("StringEquals", {}).items())
