"""Finds what roles leave to later roles of their play besides the disk: variables, facts and handlers.

A bake that starts from a layer skips the roles in it, so it has only their disk. A layer is kept after a role only if
no later one can miss the rest. In doubt there is none: the next bake takes longer, and nothing else changes.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bakery.bake.bake_files import list_files
from bakery.host import yamlfile

WORD = re.compile(r"\w+")
# Modules that change hosts or facts for the rest of the play, in ways that the text of a task does not show.
UNSEEN = re.compile(r"(?:^|\.)(?:\w+_facts|setup|add_host|group_by|async_status)$")
# Variables that every role sees but that are no input of those before it: they differ between bakes with one layer.
OF_THE_BAKE = re.compile(r"\b(?:bakery_version|software_(?:roles|packages)|ansible_play\w*|role_names|groups)\b")
# Ways to a variable whose name the text does not show.
BY_NAME = re.compile(
    r"\b(?:hostvars|varnames)\b|\bvars *\[|\bvars\.(?:get|items|keys|values)\b|[\"'](?:[\w.]+\.)?vars[\"']"
)
# Ways to an environment variable whose name the text does not show.
BY_ENVIRONMENT = re.compile(
    r"\b(?:environ|printenv|getenv)\b|\bansible_env\b|/proc/|\benv\b(?! *['\"]? *, *['\"]\w+['\"])"
)


@dataclass(frozen=True)
class Effects:
    """The names of variables and handlers that later roles may use. `unseen` says that there may be others."""

    variables: frozenset[str] = frozenset()
    handlers: frozenset[str] = frozenset()
    unseen: bool = False


@dataclass(frozen=True)
class RoleText:
    """All text of some roles that Ansible evaluates; `words` are those in it."""

    text: str
    words: frozenset[str]

    def may_read(self, variable: str) -> bool:
        """Whether a role may read a variable."""
        return variable in self.words or bool(BY_NAME.search(self.text))

    @property
    def differs_by_bake(self) -> bool:
        """Whether a role may do something else in the bake of another version or of a longer list of roles."""
        return bool(OF_THE_BAKE.search(self.text) or BY_NAME.search(self.text))

    def can_miss(self, effects: Effects, own: Effects) -> bool:
        """Whether a role may need what roles before it left, beyond the `own` names that it sets itself."""
        variables = effects.variables & self.words
        handlers = (handler for handler in effects.handlers - own.handlers if handler in self.text)
        return (
            effects.unseen
            or bool(variables - own.variables)
            or any(self._asks_for(name) for name in variables)
            or any(handlers)
        )

    def _asks_for(self, variable: str) -> bool:
        """Whether a role asks if a variable is there."""
        return bool(
            re.search(rf"\b{variable} +is +(?:not +)?(?:un)?defined\b|\b{variable} *\| *d(?:efault)?\b", self.text)
        )


def read_text(roles: Iterable[Path]) -> RoleText:
    """The text of some roles. Ansible copies files/ as it is."""
    paths = (path for role in roles for path in list_files(role) if role / "files" not in path.parents)
    text = "\n".join(path.read_text(errors="replace") for path in paths if path.is_file())
    return RoleText(text, frozenset(WORD.findall(text)))


def read_effects(roles: Iterable[Path]) -> Effects:
    """The effects of some roles together."""
    variables: set[str] = set()
    handlers: set[str] = set()
    unseen = False
    for role in roles:
        for path in list_files(role):
            folder = path.relative_to(role).parts[0]
            if not path.match("*.y*ml") or folder not in ("tasks", "handlers", "vars"):
                continue
            node = yamlfile.compose_nodes(path)
            if folder == "vars":  # include_vars sets them for the rest of the play
                variables |= set(_keys(node))
                continue
            for key, value in _list_entries(node):
                if key == "register":
                    variables |= set(_texts(value))
                elif key.rpartition(".")[2] == "set_fact":
                    variables |= set(_keys(value))
                elif folder == "handlers" and key in ("name", "listen"):
                    handlers |= set(_texts(value))
                unseen = unseen or bool(UNSEEN.search(key))
    unseen = unseen or any(not WORD.fullmatch(name) for name in variables)  # a name made by a template
    return Effects(frozenset(variables), frozenset(handlers), unseen)


def _list_entries(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The key and value of each mapping, anywhere below a node."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _list_entries(item)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield str(key.value), value
            yield from _list_entries(value)


def _keys(node: Node | None) -> Iterator[str]:
    """The keys of a mapping, or the names in the short form `a=1 b=2`."""
    if isinstance(node, MappingNode):
        yield from (str(key.value) for key, _ in node.value if key.value != "cacheable")
    elif isinstance(node, ScalarNode):
        yield from (word.partition("=")[0] for word in str(node.value).split() if "=" in word)


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _texts(item)
    elif isinstance(node, ScalarNode):
        yield str(node.value)
