"""Finds what roles leave to later roles of their play besides the disk: variables, facts and handlers.

A bake that starts from a layer skips the roles in it, so it has only their disk. A layer is kept after a role only if
no later one can miss the rest. In doubt there is none: the next bake takes longer, and nothing else changes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bakery.bake.bake_files import TASK_SUFFIXES, list_files, read_evaluated
from bakery.host import yamlfile
from bakery.host.errors import UsageError

WORD = re.compile(r"\w+")
# Modules that change hosts, facts or the running machine for the rest of the play, in ways that the text of a task does
# not show.
UNSEEN = re.compile(
    r"(?:^|\.)(?:\w+_facts|setup|getent|add_host|group_by|async_status|fetch|action|local_action"
    r"|sysctl|mount|hostname|modprobe)$"
)
SERVICES = ("service", "systemd", "systemd_service")
SETTERS = re.compile(r"(?:^|\.)(?:set_fact|include_vars)$")  # modules that take a part of their arguments by `args`
FORGETS = re.compile(r"\b(?:clear_facts|refresh_inventory)\b")
# A role's own modules and plugins: later roles may use them, and a module may set facts.
PLUGINS = re.compile(r"library|module_utils|\w+_plugins")
# Variables that every role sees but that are no input of those before it: they differ between bakes with one layer.
OF_THE_BAKE = re.compile(
    r"\b(?:bakery_version|software_(?:role\w*|packages|start|layers)|ansible_(?:play(?!book_python)\w*|host)|\w*role_names|groups"
    r"|seal_keep_passwords)\b"
)
# Without the lists that apt and dnf have, nobody can ask whether an archive has changed.
ARCHIVE_LISTS = re.compile(r"\b(?:apt/lists|cache/dnf)\b")
# Facts that the steps of a bake can change. A play gathers them once, before its first step or on the layer.
CHANGING_FACTS = re.compile(
    r"\bansible_facts\b(?!(?:\.|\[ *[\"'])(?:os_family|distribution|distribution_(?:release|major_version)|architecture"
    r"|pkg_mgr|service_mgr)\b)"
    r"|\bansible_(?:local|lsb|distribution_(?:minor_)?version|kernel\w*|(?:proc_)?cmdline|env|mounts|swap\w+"
    r"|machine_id|hostname|nodename|fqdn|domain|dns"
    r"|python(?!_interpreter)\w*|user_\w+|ssh_host_key\w*|selinux\w*|apparmor|fips|system_cap\w*)\b"
)
# Ways to what this machine has outside of the roles: a folder of the project, a program's output, an absolute path.
OUTSIDE = re.compile(
    r"\b(?:playbook_dir|inventory_dir|with_(?:pipe|lines))\b|[\"'](?:[\w.]+\.)?(?:pipe|lines)[\"']"
    r"|[\"'](?:[\w.]+\.)?(?:file|fileglob|filetree|template|unvault|csvfile|ini|first_found)[\"'] *,[^}\n]*[\"'= ][/~]"
    r"|\bwith_(?:[\w.]+\.)?(?:file|fileglob|filetree|template|unvault|csvfile|ini|first_found):[^:]*?[\"'= \[][/~]"
)
# A task that changes what Ansible takes for the system's name. On the layer, the play would gather the new one.
SYSTEM_NAMES = re.compile(
    r"(?:\b(?:path|dest|name)[:=] *[\"']?|> *|\b(?:sed|tee|cp|mv|ln|install)\b.*)/(?:etc|usr/lib)/(?:[a-z]+-release"
    r"|debian_version)\b"
)
# Ways to what the running machine has, and commands that change it: after a restart it has what the disk says.
READS_MACHINE = re.compile(r"\buname\b|(?<![\w.])/(?:proc|sys)/")
CHANGES_MACHINE = re.compile(
    r"\bsysctl +(?:-\w+ +)*(?:-w|--write)\b|\bmount +[-/]|\b(?:swapon|modprobe|hostnamectl)\b|\bhostname +[\w{]"
    r"|\bsystemctl +(?:--?\S+ +)*start\b"
)
# Folders that are no part of the disk, with a name in them: they are empty after a restart, and in each chroot.
VOLATILE = re.compile(r"(?<![\w.])(?:/var(?=/run))?/(tmp|run|dev/shm)\b(?![.-])(/[\w.-]+)?")
PUBLIC = re.compile(r"\bimport_role\b|\bpublic\b")  # the variables of such a role stay for the rest of the play
EVALUATED = ("tasks", "handlers", "vars", "defaults")
COPIED = ("files", "templates")  # unless a task includes what is in them by its path
# Ways to a variable whose name the text does not show.
BY_NAME = re.compile(
    r"\b(?:hostvars|varnames)\b|\bvars *[\[|]|\bin +vars\b|\bvars\.(?:get|items|keys|values)\b"
    r"|[\"'](?:[\w.]+\.)?vars[\"']|\bwith_(?:[\w.]+\.)?var(?:name)?s\b"
)
# Ways to an environment variable whose name the text does not show.
BY_ENVIRONMENT = re.compile(
    r"\b(?:environ|printenv|getenv)\b|\bansible_env\b|/proc/|\benv\b(?! *['\"]? *, *['\"]\w+['\"] *[,)])"
)


@dataclass(frozen=True)
class Effects:
    """The names of variables and handlers that later roles may use. `unseen` says that there may be others.

    `topics` are those that handlers listen to, `notices` are the handlers and topics that tasks notify.
    """

    variables: frozenset[str] = frozenset()
    handlers: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    notices: frozenset[str] = frozenset()
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

    @property
    def hides_archives(self) -> bool:
        """Whether a role may remove what says which packages its archives had."""
        return bool(ARCHIVE_LISTS.search(self.text))

    @property
    def reads_outside(self) -> bool:
        """Whether a role may read what no input stands for, and what may be another in the next bake."""
        return bool(OUTSIDE.search(self.text))

    @property
    def renames_system(self) -> bool:
        """Whether a role may change the system's name or version, which Ansible reads once in a play."""
        return bool(SYSTEM_NAMES.search(self.text))

    def names_file_of(self, role: str) -> bool:
        """Whether a role may read a file in the folder of another one."""
        return f"{role}/" in self.text

    def shares_volatile(self, before: "RoleText") -> bool:
        """Whether a role may read what roles before it left in memory: a state of the machine, or a file."""
        own, others = set(VOLATILE.findall(self.text)), set(VOLATILE.findall(before.text))
        folders = {folder for folder, _ in own} & {folder for folder, _ in others}
        # A folder alone, or before a name that is made, stands for each file in it.
        shared = own & others or any(folder in folders and not name for folder, name in own | others)
        reads = CHANGING_FACTS.search(self.text) or READS_MACHINE.search(self.text)
        return bool(shared or reads or CHANGES_MACHINE.search(before.text))

    def with_values(self, templates: Mapping[str, str]) -> "RoleText":
        """This text with those of the variables in it whose values are templates, by name; these may name others."""
        text, rest = self, dict(templates)
        while values := [rest.pop(name) for name in list(rest) if text.may_read(name)]:
            text = make_text("\n".join([text.text, *values]))
        return text

    def can_miss(self, effects: Effects, own: Effects) -> bool:
        """Whether a role may need what roles before it left, beyond the `own` names that it sets itself."""
        variables = effects.variables & self.words
        # A role's own handler replaces one of the same name, but all that listen to a topic run.
        handlers = effects.topics | (effects.handlers - own.handlers)
        computed = any("{{" in notice for notice in own.notices)
        return (
            effects.unseen
            or bool(variables - own.variables)
            or (bool(effects.variables) and bool(BY_NAME.search(self.text)))
            or any(self._asks_for(name) for name in variables)
            or any(computed or handler in self.text for handler in handlers)
        )

    def _asks_for(self, variable: str) -> bool:
        """Whether a role asks if a variable, or a part of it, is there."""
        return bool(re.search(rf"\b{variable}\b.*(?:\bdefined\b|\| *d(?:efault)?\b)", self.text))


def make_text(text: str) -> RoleText:
    return RoleText(text, frozenset(WORD.findall(text)))


def read_text(roles: Iterable[Path]) -> RoleText:
    """The text of some roles that Ansible may evaluate."""
    return make_text("\n".join(text for role in roles for text in read_evaluated(role).values()))


def read_effects(roles: Sequence[Path]) -> Effects:
    """The effects of some roles together."""
    entries = []
    variables: set[str] = set()
    unseen = False
    text = read_text(roles).text
    public = bool(PUBLIC.search(text))
    for role in roles:
        for path in list_files(role):
            folder = path.relative_to(role).parts[0]
            unseen = unseen or bool(PLUGINS.fullmatch(folder))
            if not _is_evaluated(path, folder, text):
                continue
            try:
                node = yamlfile.compose_nodes(path)
            except UsageError:
                if folder in EVALUATED:
                    raise
                unseen = True  # only some forms of a template are YAML
                continue
            if isinstance(node, MappingNode) and (folder != "defaults" or public):
                variables |= set(_keys(node))  # include_vars sets them for the rest of the play
            elif folder != "defaults":
                entries += [(folder, *entry) for entry in _list_entries(node)]
    names: dict[str, set[str]] = {"name": set(), "listen": set(), "notify": set()}
    for folder, key, value in entries:
        module = key.rpartition(".")[2]
        if key == "register":
            variables |= set(_texts(value))
        elif module == "set_fact":
            variables |= set(_keys(value))
            unseen = unseen or not _has_keys(value)
        elif module == "include_vars":
            variables |= set(_list_names(value))
        elif module == "meta":
            unseen = unseen or bool(FORGETS.search(" ".join(_texts(value))))
        elif module in SERVICES:
            unseen = unseen or _only_starts(value)
        elif key == "notify" or (folder == "handlers" and key in ("name", "listen")):
            names[key] |= set(_texts(value))
        unseen = unseen or bool(UNSEEN.search(key))
    # A name that a template makes, or one that decides how the tasks of later roles run.
    unseen = unseen or any(not WORD.fullmatch(name) or name.startswith("ansible_") for name in variables)
    unseen = unseen or any("{{" in name for name in names["name"] | names["listen"])
    handlers, topics, notices = (frozenset(names[key]) for key in ("name", "listen", "notify"))
    return Effects(frozenset(variables), handlers, topics, notices, unseen)


def _is_evaluated(path: Path, folder: str, text: str) -> bool:
    """Whether a file in a folder of a role may have tasks or variables; `text` is that of the role."""
    if folder == "meta" or path.suffix not in TASK_SUFFIXES or not path.is_file():
        return False
    return folder in EVALUATED or (bool(path.suffix) and (folder not in COPIED or f"{folder}/" in text))


def _list_entries(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The key and value of each mapping, anywhere below a node; the key of `args` is the module that sets variables."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _list_entries(item)
    elif isinstance(node, MappingNode):
        keys = [str(key.value) for key, _ in node.value]
        setter = next((key for key in keys if SETTERS.search(key)), "args")
        for key, (_, value) in zip(keys, node.value, strict=True):
            yield setter if key == "args" else key, value
            yield from _list_entries(value)


def _has_keys(node: Node) -> bool:
    """Whether `_keys` finds all names that a node sets: a template, for instance, makes them later."""
    if isinstance(node, ScalarNode):
        return "=" in str(node.value).lstrip().partition(" ")[0]
    return isinstance(node, MappingNode)


def _keys(node: Node | None) -> Iterator[str]:
    """The keys of a mapping, or the names in the short form `a=1 b=2`."""
    if isinstance(node, MappingNode):
        yield from (str(key.value) for key, _ in node.value if key.value != "cacheable")
    elif isinstance(node, ScalarNode):
        yield from (word.partition("=")[0] for word in str(node.value).split() if "=" in word)


def _only_starts(node: Node) -> bool:
    """Whether the arguments of a service's module may start it for now, and not at each boot."""
    if isinstance(node, MappingNode):
        options = {str(key.value): str(value.value) for key, value in node.value}
        state = options.get("state", "")
        return "enabled" not in options and (state == "started" or "{{" in state)
    return "state=started" in str(node.value) and "enabled=" not in str(node.value)


def _list_names(node: Node) -> Iterator[str]:
    """The variable that holds all that include_vars reads, if its arguments name one."""
    if isinstance(node, MappingNode):
        yield from (str(value.value) for key, value in node.value if key.value == "name")
    elif isinstance(node, ScalarNode):
        yield from (word.removeprefix("name=") for word in str(node.value).split() if word.startswith("name="))


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _texts(item)
    elif isinstance(node, ScalarNode):
        yield str(node.value)
