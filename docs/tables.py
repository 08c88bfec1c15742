"""Tables of the fields of a JSON Schema: what the pages on definitions and on stacks have in common."""

import json
import re
from collections.abc import Iterator
from typing import Any


def fields(name: str, part: dict[str, Any], level: str = "##") -> Iterator[str]:
    """The heading of a model, what it is, and its fields."""
    yield f"{level} {name}\n\n{part.get('description', '')}\n"
    yield "| key | type | default | meaning |\n|---|---|---|---|"
    for key, field in part.get("properties", {}).items():
        default = "required" if key in part.get("required", ()) else _default(field.get("default"))
        yield f"| `{key}` | {_type(field)} | {default} | {field.get('description', '')} |"
    yield ""


def models(part: dict[str, Any]) -> Iterator[str]:
    """The names of the models that a part of a schema refers to."""
    yield from re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(part))


def _default(value: Any) -> str:
    empty = not value or (isinstance(value, dict) and not any(value.values()))
    return "" if empty else f"`{json.dumps(value)}`"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        if name == "JsonValue":
            return "any value"
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"] if option.get("type") != "null")
    if "enum" in field or "const" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object":
        inner = field.get("additionalProperties") or next(iter(field.get("patternProperties", {"": {}}).values()))
        return f"map of {_type(inner)}" if isinstance(inner, dict) else "map"
    pattern = f", `{field['pattern']}`" if "pattern" in field else ""
    return re.sub(r"\|", r"\\|", f"{field.get('type', 'any')}{pattern}")
