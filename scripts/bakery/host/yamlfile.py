"""Reads YAML files that users edit: their content as JSON text, and the line of every key for messages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bakery.host.cache import Cache
from bakery.host.errors import UsageError

Keys = tuple[str | int, ...]

# The types that JSON also has. YAML reads plain text as more types: 2024-01-01 is a timestamp, .inf a float.
JSON_KINDS = ("map", "seq", "str", "int", "float", "bool", "null", "merge")


class Reader:
    """Reads YAML files as JSON text. `cache` is a JSON file that saves parsing unchanged ones again."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = Cache(cache)

    def read(self, path: Path) -> str:
        """A file's content; UsageError with `file:line` if it is not YAML or has values that JSON cannot express."""
        try:
            return self._cache.get(_file_stamp(path), lambda: parse(path))
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error

    def save(self) -> None:
        """Save the files of this run to the cache, and no others."""
        self._cache.save()


def parse(path: Path, text: str | None = None) -> str:
    """A YAML 1.2 file, or its future content `text`, as JSON text; errors have a line.

    Duplicate keys, bad syntax and dates are errors.
    """
    with _explain_errors(path):
        yaml = YAML(typ="safe", pure=True)
        node = yaml.compose(path.read_text(encoding="utf-8") if text is None else text)
        _check_node(path, node)
        return json.dumps(yaml.constructor.construct_document(node) if node else None)


def compose_nodes(path: Path, text: str | None = None) -> Node | None:
    """A YAML file, or its future content `text`, as nodes with any tags; None if it is empty."""
    with _explain_errors(path):
        read = path.read_text(encoding="utf-8") if text is None else text
        node: Node | None = YAML(typ="safe", pure=True).compose(read)
        return node


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UsageError(f"not valid YAML: {error.problem}", where=f"{path}:{mark.line + 1}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError("not UTF-8 text", where=f"{path}:{line}", hint="save it with that encoding") from error
    except (YAMLError, ValueError, TypeError) as error:
        raise UsageError(f"not valid YAML: {error}", where=str(path)) from error


def where(path: Path, keys: Keys) -> str:
    """`file:line` of the deepest nested key that exists. Parses the file again, which only error messages need."""
    return f"{path}:{_find_node(path, keys)[0] + 1}"


def written(path: Path, keys: Keys) -> str:
    """The scalar at nested keys as the user wrote it (1.10, not 1.1); empty if there is none."""
    node = _find_node(path, keys)[1]
    return str(node.value) if isinstance(node, ScalarNode) else ""


def _find_node(path: Path, keys: Keys) -> tuple[int, Node | None]:
    """Line of the deepest key that exists, and the node at the end of `keys` if all do."""
    node, line = compose_nodes(path), 0
    for key in keys:
        child = _child_node(node, key)
        if child is None:
            return line, None
        line, node = child
    return line, node


def _child_node(node: Node | None, key: str | int) -> tuple[int, Node] | None:
    if isinstance(node, MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line, value
    if isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
        item = node.value[key]
        return item.start_mark.line, item
    return None


def _check_node(path: Path, node: Any, above: tuple[Node, ...] = ()) -> None:
    """Raise UsageError if a node has a value that JSON cannot express."""
    if node is None:
        return
    at = f"{path}:{node.start_mark.line + 1}"
    if any(node is outer for outer in above):
        raise UsageError("not valid YAML: an alias refers to a node that contains it", where=at)
    kind = node.tag.rsplit(":", 1)[-1]
    if kind not in JSON_KINDS or (kind == "float" and node.value.lower().endswith((".inf", ".nan"))):
        text = node.value if isinstance(node, ScalarNode) else "this"
        raise UsageError(f"{text} is a {kind} to YAML, which cannot be used here", where=at, hint="quote it")
    if isinstance(node, MappingNode):
        for part in (part for pair in node.value for part in pair):
            _check_node(path, part, (*above, node))
    elif isinstance(node, SequenceNode):
        for part in node.value:
            _check_node(path, part, (*above, node))


def _file_stamp(path: Path) -> str:
    """A text that changes with the file's content, from the fields that git's index compares, without the name."""
    stat = path.stat()
    return f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
