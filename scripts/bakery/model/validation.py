"""Strict models of YAML files that users edit, and their errors as messages with `file:line`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from bakery.host import yamlfile
from bakery.host.errors import UsageError, merge_errors, suggest


class Model(BaseModel):
    """Strict: unknown keys and YAML's guesses at types (1.10 as a number) are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Kind = TypeVar("Kind", bound=Model)


def field_error(message: str, hint: str, *keys: str | int) -> PydanticCustomError:
    """An error of a validator, with a hint. `keys` lead from the validated value to its wrong part."""
    return PydanticCustomError("field_error", "{message}", {"message": message, "hint": hint, "keys": keys})


def validate(kind: type[Kind], what: str, path: Path, text: str) -> Kind:
    """The JSON `text` of the file `path`, a `what`, as a model; UsageError with all errors."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        # A misspelt key is also a missing key; the first error is more useful.
        problems = sorted(
            _without_consequences(error.errors()), key=lambda problem: problem["type"] != "extra_forbidden"
        )
        explained = (_explain_problem(kind, what, path, dict(problem)) for problem in problems)
        errors = [UsageError(message, where=where, hint=hint) for where, message, hint in explained]
        raise merge_errors(errors) from error


def _without_consequences(problems: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """The problems without lists that are too short only because pydantic does not count their wrong entries."""
    wrong = {problem["loc"][:-1] for problem in problems}
    return [problem for problem in problems if problem["type"] != "too_short" or problem["loc"] not in wrong]


def first_repeated(values: Sequence[object]) -> int | None:
    """The index of the first repeated value; None if all are different."""
    return next((index for index, value in enumerate(values) if value in values[:index]), None)


def _explain_problem(kind: type[Model], what: str, path: Path, problem: Mapping[str, Any]) -> tuple[str, str, str]:
    """One pydantic error as (file:line, message, hint) for users."""
    context = problem.get("ctx", {})
    keys = tuple(key for key in problem["loc"] if key != "[key]")  # pydantic's mark for a key of a mapping
    keys += context.get("keys", ())
    dotted = ".".join(str(key) for key in keys) or what
    where = yamlfile.where(path, keys)
    value, meaning = problem["input"], _key_description(kind, keys)
    match problem["type"]:
        case "extra_forbidden":
            allowed = _keys_at(kind, keys[:-1])
            hint = suggest(str(keys[-1]), allowed) or f"known here: {', '.join(allowed)}"
            return where, f"unknown key '{dotted}'", hint
        case "missing":
            return where, f"'{dotted}' is missing", meaning
        case "field_error":
            return where, f"{dotted}: {context['message']}", context["hint"]
        case "value_error":
            return where, f"{dotted}: {context['error']}", ""
        case _ if value is None:
            return where, f"'{dotted}' has no value", meaning
        case "text_format":
            hint = f'write it like "{context["example"]}"'
            return where, f"'{dotted}' is {value!r}; it must be {context['words']}", hint
        case "string_type" if isinstance(value, int | float):
            text = yamlfile.written(path, keys)
            guess = "boolean" if isinstance(value, bool) else "number"
            return where, f"'{dotted}' must be text, not the {guess} {text}", f'quote it: "{text}"'
        case "literal_error":
            expected = context["expected"]
            options = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
            return where, f"'{dotted}' is {value!r}; it must be {expected}", suggest(str(value), options) or meaning
        case "too_short":
            return where, f"'{dotted}' has {len(value)} entries; it needs {context['min_length']} or more", meaning
        case "model_type":
            hint = f"it has the keys {', '.join(_keys_at(kind, keys))}"
            return where, f"'{dotted}' is {value!r}; it must be a mapping", hint
        case _:
            return where, f"'{dotted}' is {value!r}: {problem['msg']}", meaning


def _key_description(kind: type[Model], keys: tuple[str | int, ...]) -> str:
    """The schema's description of a key, or of the nearest key above it that has one, for a hint."""
    schema = kind.model_json_schema()
    for end in range(len(keys), 0, -1):
        node = _node_at(schema, keys[:end])
        description = node.get("description") or _resolve_reference(node, schema).get("description")
        if description and isinstance(keys[end - 1], str):
            return f"{keys[end - 1]}: {description}"
    return ""


def _keys_at(kind: type[Model], keys: tuple[str | int, ...]) -> list[str]:
    """The keys that the schema allows at a place, for near-miss hints."""
    schema = kind.model_json_schema()
    return list(_resolve_reference(_node_at(schema, keys), schema).get("properties", {}))


def _node_at(schema: dict[str, Any], keys: tuple[str | int, ...]) -> dict[str, Any]:
    """The schema of a key: perhaps a reference, which `_resolve_reference` follows."""
    node = schema
    for key in keys:
        node = _resolve_reference(node, schema)
        # An object of the schema names its keys; a free mapping has one schema for all keys.
        any_key = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties") or {})
        node = node.get("items", {}) if isinstance(key, int) else node.get("properties", {}).get(key, any_key)
    return node


def _resolve_reference(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            resolved: dict[str, Any] = schema["$defs"][option["$ref"].rsplit("/", 1)[-1]]
            return resolved
    return node
