"""Reads YAML files that users edit: their content as JSON text, and the line of every key for messages."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from bakery.host.cache import Cache
from bakery.host.errors import UsageError, raise_all

Keys = tuple[str | int, ...]

# Nodes of a file with each alias counted as what it stands for: nine lines of aliases can name a billion. The largest
# definition here has a few hundred.
MOST_NODES = 100_000
# Lists and mappings in brackets that are open at once: the parser's time grows with the square of their number.
MOST_BRACKETS = 200
# Characters before the first key or text of a line. The parser's time grows with the square of the levels below each
# other: 3,000 take 7 s.
MOST_INDENTATION = 400
# The types that JSON also has. YAML reads plain text as more types: 2024-01-01 is a timestamp, .inf a float.
JSON_KINDS = ("map", "seq", "str", "int", "float", "bool", "null", "merge")
KIND_NAMES = {"int": "number", "float": "number", "bool": "boolean", "null": "empty value"}
# Numbers that JSON writes as the user did, if a float has no more digits than Python prints.
PLAIN_NUMBER = re.compile(r"0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+")
FORMAT = "2"  # of the cache; raise it when a file that did not change is read or refused differently
ALIKE = "indent the keys of one mapping alike, and the entries of one list, with spaces"
# The words of ruamel.yaml for common mistakes, as an expression; words for users; a hint.
EXPLANATIONS = (
    (r"character '\\t' that cannot start any token", "a tab where spaces must be", "indent with spaces"),
    (r"character ('.+') that cannot start any token", r"\1 cannot begin a text", "quote the text"),
    (r"mapping values are not allowed here", "a colon that ends no key", f'{ALIKE}; quote a text that has ": " in it'),
    (r"could not find expected ':'", "a key without a colon", "write KEY: VALUE"),
    (r"expected ',' or '\]'", "a list in brackets that is not closed, or lacks a comma", "close it, or add the comma"),
    (r"expected ',' or '\}'", "a mapping in braces that is not closed, or lacks a comma", "close it, or add the comma"),
    (r"unexpected end of stream", "a quote that is not closed", "close it"),
    (r'found duplicate key "(.*?)"', r"the key '\1' is there twice", "keep one of them"),
    (r"found undefined alias '(.*)'", r"the alias *\1 has no anchor &\1 above it", "add the anchor, or quote the text"),
    (r"unknown escape character '(.*)'", r"\\\1 means nothing in double quotes", "use single quotes"),
    (r"another document", "a second document after ---", "write one document to each file"),
    (
        r"expected <block end>|expected the node|expected '<document start>'|are not allowed here",
        "a line that does not fit the lines above it",
        ALIKE,
    ),
)


class Reader:
    """Reads YAML files as JSON text. `cache` is a JSON file that saves parsing unchanged ones again."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = Cache(cache)

    def read(self, path: Path) -> str:
        """A file's content; UsageError with `file:line` if it is not YAML or has values that JSON cannot express."""
        try:
            return self._cache.get_of_file(path, FORMAT, lambda: parse(path))
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error

    def save(self) -> None:
        """Save the files of this run to the cache, and no others."""
        self._cache.save()


def parse(path: Path, text: str | None = None, *, exact: bool = True) -> str:
    """A YAML 1.2 file, or its future content `text`, as JSON text; errors have a line.

    Duplicate keys, keys that are not text, bad syntax and dates are errors. If it has to be `exact`, so are numbers
    that would come back with other digits, such as 1.10 and 0644.
    """
    with _explain_errors(path):
        yaml = YAML(typ="safe", pure=True)
        node = yaml.compose(_read_text(path, text))
        parts = _list_nodes(path, node)
        for part in parts:
            _check_kind(path, part)
        for part in parts:
            _check_keys(path, part)
        if exact:
            raise_all([_number_error(path, part, yaml) for part in parts if not _comes_back(part)])
        return json.dumps(yaml.constructor.construct_document(node) if node else None)


def walk(data: object, *keys: str | int) -> Iterator[tuple[Keys, object]]:
    """Every part of a file's content with the keys that lead to it, each mapping or list before its own parts."""
    yield keys, data
    parts = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, part in parts:
        yield from walk(part, *keys, key)


def compose_nodes(path: Path, text: str | None = None) -> Node | None:
    """A YAML file, or its future content `text`, as nodes with any tags; None if it is empty.

    A walk through all nodes ends soon: UsageError if aliases make a loop, or too many nodes.
    """
    with _explain_errors(path):
        node: Node | None = YAML(typ="safe", pure=True).compose(_read_text(path, text))
        _list_nodes(path, node)
        return node


def _read_text(path: Path, text: str | None) -> str:
    """The text, by default the file's; UsageError if it is nested more deeply than any document of use."""
    content = path.read_text(encoding="utf-8") if text is None else text
    opened = 0
    for number, line in enumerate(content.splitlines(), 1):
        opened = max(0, opened + line.count("[") + line.count("{") - line.count("]") - line.count("}"))
        if opened > MOST_BRACKETS or len(line) - len(line.lstrip(" -?")) > MOST_INDENTATION:
            raise UsageError("not valid YAML: it is nested too deeply", where=f"{path}:{number}")
    return content


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except MarkedYAMLError as error:
        # Of a key without a colon, the library's mark of the problem is where it gave up to look for one.
        marks = (error.context_mark, error.problem_mark)
        mark = next(filter(None, marks if "expected ':'" in error.problem else reversed(marks)))
        problem, hint = _explain_problem(str(error.problem))
        raise UsageError(f"not valid YAML: {problem}", where=f"{path}:{mark.line + 1}", hint=hint) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError("not UTF-8 text", where=f"{path}:{line}", hint="save it with that encoding") from error
    except RecursionError as error:
        raise UsageError("not valid YAML: it is nested too deeply", where=str(path)) from error
    except ReaderError as error:
        raise UsageError("not valid YAML: it has a control character", where=str(path), hint="remove it") from error
    except (YAMLError, ValueError, TypeError) as error:
        raise UsageError(f"not valid YAML: {error}", where=str(path)) from error


def _explain_problem(problem: str) -> tuple[str, str]:
    """A problem of the library as a message and a hint."""
    for pattern, words, hint in EXPLANATIONS:
        if found := re.search(pattern, problem):
            return found.expand(words), hint
    return problem, ""


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


def _list_nodes(path: Path, root: Node | None) -> list[Node]:
    """Each node once, however many aliases name it. UsageError if aliases make a loop, or more than MOST_NODES."""
    nodes: list[Node] = []
    if root is not None:
        _measure_node(path, root, nodes, {})
    return nodes


def _measure_node(path: Path, node: Node, nodes: list[Node], sizes: dict[int, int]) -> int:
    """The nodes below a node and itself, aliases resolved. `sizes` has those that were measured; 0 means not yet."""
    size = sizes.get(id(node))
    at = f"{path}:{node.start_mark.line + 1}"
    if size == 0:
        raise UsageError("not valid YAML: an alias refers to a node that contains it", where=at)
    if size is None:
        nodes.append(node)
        sizes[id(node)] = 0
        size = 1 + sum(_measure_node(path, child, nodes, sizes) for child in _child_nodes(node))
        if size > MOST_NODES:
            raise UsageError(f"its aliases stand for more than {MOST_NODES} nodes", where=at, hint="use fewer aliases")
        sizes[id(node)] = size
    return size


def _child_nodes(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _check_kind(path: Path, node: Node) -> None:
    """Raise UsageError if a node has a value that JSON cannot express."""
    kind = _kind_of(node)
    if kind in JSON_KINDS and not (kind == "float" and node.value.lower().endswith((".inf", ".nan"))):
        return
    where = f"{path}:{node.start_mark.line + 1}"
    if kind.startswith("!"):
        raise UsageError(
            f"the tag {kind} cannot be used here", where=where, hint="remove it; a secret stays in Vault, by its path"
        )
    text = node.value if isinstance(node, ScalarNode) else "this"
    raise UsageError(f"{text} is a {kind} to YAML, which cannot be used here", where=where, hint="quote it")


def _check_keys(path: Path, node: Node) -> None:
    """Raise UsageError if a key is not text: as numbers, 1.10 and 1.1 would be one key."""
    for key, _ in node.value if isinstance(node, MappingNode) else ():
        if (kind := _kind_of(key)) not in ("str", "merge"):
            where = f"{path}:{key.start_mark.line + 1}"
            if not isinstance(key, ScalarNode):
                hint = "quote the text, such as one that begins with {{"
                raise UsageError("a key must be text, not a list or mapping", where=where, hint=hint)
            message = f"a key must be text, not the {KIND_NAMES[kind]} {key.value}"
            raise UsageError(message, where=where, hint=f'quote it: "{key.value}"')


def _comes_back(node: Node) -> bool:
    """Whether JSON has the digits of a number as they are written; true for all other nodes."""
    if _kind_of(node) not in ("int", "float"):
        return True
    text = str(node.value)
    return bool(PLAIN_NUMBER.fullmatch(text)) and ("." not in text or str(float(text)) == text)


def _number_error(path: Path, node: Node, yaml: YAML) -> UsageError:
    number = json.dumps(yaml.constructor.construct_object(node))
    hint = f'quote it: "{node.value}"; if it is a number, write {number}'
    where = f"{path}:{node.start_mark.line + 1}"
    return UsageError(f"{node.value} is a number to YAML, and would become {number}", where=where, hint=hint)


def _kind_of(node: Node) -> str:
    """The type of a node: a name of YAML's, or the user's own tag, such as !vault."""
    return str(node.tag).rsplit(":", 1)[-1]
