"""Strict models of YAML files that users edit, and their errors as messages with `file:line`."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
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

PLAIN = re.compile(r"[A-Za-z_][\w./-]*")  # a text that YAML reads as one without quotes
LONGEST_SHOWN = 80  # characters of a wrong text: a message stays one line of a terminal or two

# The form that a value must have, by the type of pydantic's error; {names} are of the error's context.
FORMS = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "date_type": "a day such as 2026-12-31",
    "date_parsing": "a day such as 2026-12-31",
    "string_too_short": "{min_length} or more characters long",
    "string_too_long": "{max_length} or fewer characters long",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
}


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
    shown = _show_value(value)
    match problem["type"]:
        case "extra_forbidden":
            return where, f"unknown key '{dotted}'", _hint_at_key(kind, keys)
        case "missing":
            return where, f"'{dotted}' is missing", meaning
        case "field_error":
            return where, f"{dotted}: {context['message']}", context["hint"]
        case "value_error":
            return where, f"{dotted}: {context['error']}", ""
        case _ if value is None and not keys:
            return where, "the file is empty", f"it needs the keys {', '.join(_schema_of(kind)['required'])}"
        case _ if value is None:
            return where, f"'{dotted}' has no value", meaning
        case "text_format":
            hint = f'write it like "{context["example"]}"'
            return where, f"'{dotted}' is {shown}; it must be {context['words']}", hint
        case "string_type" if isinstance(value, int | float):
            text = yamlfile.written(path, keys)
            guess = "boolean" if isinstance(value, bool) else "number"
            return where, f"'{dotted}' must be text, not the {guess} {text}", f'quote it: "{text}"'
        case "literal_error":
            expected = context["expected"]
            options = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
            return (
                where,
                f"'{dotted}' is {shown}; it must be {expected}",
                suggest(str(value).lower(), options) or meaning,
            )
        case "too_short":
            return where, f"'{dotted}' has {len(value)} entries; it needs {context['min_length']} or more", meaning
        case "model_type" | "tuple_type" | "dict_type" as form:
            return where, f"'{dotted}' is {shown}; it must be {FORMS[form]}", _hint_at_shape(kind, keys, value)
        case form if form in FORMS:
            return where, f"'{dotted}' is {shown}; it must be {FORMS[form].format(**context)}", meaning
        case _:
            return where, f"'{dotted}' is {shown}: {problem['msg']}", meaning


def _show_value(value: Any) -> str:
    """A wrong value as a YAML file has it; of a list or a mapping only that it is one."""
    if isinstance(value, str):
        short = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
        return f"'{short}'" if short.isprintable() else json.dumps(short, ensure_ascii=False)
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else json.dumps(value)


def _hint_at_key(kind: type[Model], keys: tuple[str | int, ...]) -> str:
    """A hint for an unknown key: where the schema has this key, a similar key, or all keys that are known here."""
    key, allowed = str(keys[-1]), _keys_at(kind, keys[:-1])
    if elsewhere := _find_key(kind, key):
        return f"did you mean '{' or '.join(elsewhere)}'?".replace(" or ", "' or '")
    return suggest(key, allowed) or f"known here: {', '.join(allowed)}"


def _hint_at_shape(kind: type[Model], keys: tuple[str | int, ...], value: Any) -> str:
    """A hint for a value that is no list or no mapping: the same as one if that is clear, else what is meant."""
    if isinstance(value, str) and (shaped := _write_in_shape(kind, keys, value)):
        return f"write it as {shaped}"
    known = _keys_at(kind, keys)
    return f"it has the keys {', '.join(known)}" if known else _key_description(kind, keys)


def _write_in_shape(kind: type[Model], keys: tuple[str | int, ...], text: str) -> str:
    """A text as an entry of the list, or as the one key of the mapping, that the schema has; empty for any other."""
    schema = _schema_of(kind)
    node = _resolve_reference(_node_at(schema, keys), schema)
    required = list(node.get("required", ()))
    if node.get("type") == "array":
        return f"[{_write_in_shape(kind, (*keys, 0), text)}]"
    if len(required) == 1:
        return f"{{{required[0]}: {_write_in_shape(kind, (*keys, required[0]), text)}}}"
    if "properties" in node or "patternProperties" in node or "additionalProperties" in node:
        return ""
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


@cache
def _schema_of(kind: type[Model]) -> dict[str, Any]:
    """The JSON Schema of a model, which takes longer to make than a message."""
    return kind.model_json_schema()


def _key_description(kind: type[Model], keys: tuple[str | int, ...]) -> str:
    """The schema's description of a key, or of the nearest key above it that has one, for a hint."""
    schema = _schema_of(kind)
    for end in range(len(keys), 0, -1):
        node = _node_at(schema, keys[:end])
        description = node.get("description") or _resolve_reference(node, schema).get("description")
        if description and isinstance(keys[end - 1], str):
            return f"{keys[end - 1]}: {description}"
    return ""


def _keys_at(kind: type[Model], keys: tuple[str | int, ...]) -> list[str]:
    """The keys that the schema allows at a place, for near-miss hints."""
    schema = _schema_of(kind)
    return list(_resolve_reference(_node_at(schema, keys), schema).get("properties", {}))


def _find_key(kind: type[Model], key: str) -> list[str]:
    """The places at which the schema has a key of this name below other keys, such as software.packages."""
    schema = _schema_of(kind)

    def places(node: dict[str, Any], above: tuple[str, ...]) -> Iterator[str]:
        for name, child in _resolve_reference(node, schema).get("properties", {}).items():
            if name == key and above:
                yield ".".join((*above, name))
            yield from places(child, (*above, name))

    return list(places(schema, ()))


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
    """The schema that a node refers to, or that it allows beside null; otherwise the node."""
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            resolved: dict[str, Any] = schema["$defs"][option["$ref"].rsplit("/", 1)[-1]]
            return resolved
    return next((option for option in node.get("anyOf", ()) if option.get("type") != "null"), node)
