"""Makes small changes to a definition's file without changing any other line.

ruamel.yaml gives the position of a value, and only that text changes. Writing the whole document again would keep
comments, but not the user's indentation, blank lines and line ends.
"""

import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from bakery.host import yamlfile
from bakery.host.errors import UsageError, suggest

# Debian Policy 5.6.1 and what RPM allows, an architecture, and a version behind `=`.
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_:-]*(=[A-Za-z0-9.+_:~-]+)?")


def read(path: Path) -> str:
    """A file's text, with its own line ends."""
    return path.read_bytes().decode("utf-8")


def set_version(path: Path, text: str, version: str) -> str:
    """The text of a definition with another release line."""
    node = _compose_nodes(path, text)["version"]
    start, end = node.start_mark.index, node.end_mark.index
    quote = text[start]
    expected = {**_parse_data(path, text), "version": version}
    return _require_data(path, f"{text[:start]}{quote}{version}{quote}{text[end:]}", expected)


def add_package(path: Path, text: str, name: str) -> str:
    """The text of a definition with one more package; UsageError if it has the package, in any version."""
    if not PACKAGE.fullmatch(name):
        raise UsageError(f"'{name}' is not the name of a package", hint="write NAME or NAME=VERSION")
    data = _parse_data(path, text)
    packages = data.setdefault("software", {}).setdefault("packages", [])
    for number, package in enumerate(packages):
        if package.partition("=")[0] == name.partition("=")[0]:
            raise UsageError(
                f"the package '{package}' is already listed",
                where=yamlfile.where(path, ("software", "packages", number)),
                hint="" if package == name else "remove it first",
            )
    packages.append(name)
    return _require_data(path, _insert_package(path, text, name), data)


def remove_package(path: Path, text: str, name: str) -> str:
    """The text of a definition without a package; UsageError if it does not have exactly this text."""
    data = _parse_data(path, text)
    packages = data.get("software", {}).get("packages", [])
    if name not in packages:
        where = yamlfile.where(path, ("software", "packages"))
        raise UsageError(f"the package '{name}' is not listed", where=where, hint=suggest(name, packages))
    number = packages.index(name)
    packages.remove(name)
    return _require_data(path, _delete_package(path, text, number), data)


def _insert_package(path: Path, text: str, name: str) -> str:
    """Add to the list of packages, or to a new list at the head of `software`, or to a new `software`."""
    nodes = _compose_nodes(path, text)
    software = nodes.get("software")
    packages = _mapping_values(software).get("packages")
    if software is None:
        at = _end_of_line(text, _last_node(nodes["base"]).end_mark.index)
        return f"{text[:at]}{_line_break(text)}software: {{packages: [{name}]}}{text[at:]}"
    if packages is None:
        return _insert_first(text, software, f"packages: [{name}]")
    if packages.value and not packages.flow_style:
        at = _end_of_line(text, packages.value[-1].end_mark.index)
        return f"{text[:at]}{_line_break(text)}{' ' * packages.start_mark.column}- {name}{text[at:]}"
    at = packages.value[-1].end_mark.index if packages.value else packages.start_mark.index + 1
    return f"{text[:at]}{', ' if packages.value else ''}{name}{text[at:]}"


def _insert_first(text: str, mapping: Any, entry: str) -> str:
    """A new first entry of a mapping: on a line of its own unless the mapping is in braces."""
    if mapping.flow_style:
        at, after = mapping.start_mark.index + 1, ", " if mapping.value else ""
    else:
        at, after = mapping.start_mark.index, _line_break(text) + " " * mapping.start_mark.column
    return f"{text[:at]}{entry}{after}{text[at:]}"


def _delete_package(path: Path, text: str, number: int) -> str:
    packages = _mapping_values(_compose_nodes(path, text)["software"])["packages"]
    items, item = packages.value, packages.value[number]
    if packages.flow_style:
        start = items[number - 1].end_mark.index if number else item.start_mark.index
        end = items[1].start_mark.index if number == 0 and len(items) > 1 else item.end_mark.index
        return text[:start] + text[end:]
    start = text.rfind("\n", 0, item.start_mark.index) + 1
    rest = text[_end_of_line(text, item.end_mark.index) :].removeprefix(_line_break(text))
    if len(items) > 1:
        return text[:start] + rest
    colon = text.rindex(":", 0, start) + 1
    return f"{text[:colon]} []{text[colon:start]}{rest}"


def _require_data(path: Path, text: str, expected: dict[str, Any]) -> str:
    """Return the text if it has the expected meaning: one changed line is not enough for every style of YAML."""
    try:
        content = _parse_data(path, text)
    except UsageError:
        content = None
    if content != expected:
        raise UsageError(
            "cannot edit this file: its YAML style is not supported", where=str(path), hint="change it in an editor"
        )
    return text


def _parse_data(path: Path, text: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(yamlfile.parse(path, text))
    return data


def _compose_nodes(path: Path, text: str) -> dict[str, Any]:
    return _mapping_values(yamlfile.compose_nodes(path, text))


def _mapping_values(node: Node | None) -> dict[str, Any]:
    return {key.value: value for key, value in node.value} if isinstance(node, MappingNode) else {}


def _last_node(node: Any) -> Any:
    """The last scalar or bracket in a node: the end of a mapping or list without brackets is the next node's start."""
    while isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    return node


def _end_of_line(text: str, index: int) -> int:
    """The end of the line that `index` is in, before its line break."""
    end = text.find(_line_break(text), index)
    return len(text) if end < 0 else end


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
