"""The files that a bake reads: Ansible's settings and playbook, its roles, and Packer's template.

A file of another OS family or system is left out only if the files beside it show that this bake cannot read it. In
doubt a file counts: an unnecessary bake costs minutes, a missing one leaves an old image in use.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bakery.bake.role_documents import FITNESS, read_dependencies, read_fitness
from bakery.host import yamlfile
from bakery.host.errors import UsageError
from bakery.model.definition import FAMILIES, ImageDefinition
from bakery.model.inputs import exact_json

PLAYBOOKS = {"linux": "bake.yml", "windows": "bake-windows.yml"}
INCLUDED_ROLES = ("include_role", "import_role")
ACTIONS = ("action", "local_action")  # keys of a task that may name its module
TASK_SUFFIXES = (".yml", ".yaml", ".json", "")
# A path out of a role into the role beside it.
NEIGHBOURS = re.compile(r"(?:\.\./+|\broles/+|\bdirname\b[^/\n]*/)(?=([\w.-]*\w))")
# Ways of a task to a file that Ansible would only copy, and to one of another role.
FILES = re.compile(r"files/|\.\./|role_path|localhost|local_action|\bpipe\b|first_found")
# Folders of a role whose YAML has tasks of a bake only if the role names the folder.
NO_TASKS = ("files", "templates", "molecule", "tests")
COMPILED = "__pycache__"
EDITORS = re.compile(r"\.#.*|\..*\.sw[a-p]")  # lock files of Emacs, swap files of Vim

# The only form of include_vars that shows which vars/<family>.yml is read, and a pattern for all its forms.
VARS_BY_FAMILY = re.compile(
    r"""\binclude_vars: *["']?\{\{ *ansible_facts\.os_family *\}\}\.yml["']? *$""", re.MULTILINE
)
VARS = re.compile(r"include_vars|vars_files|vars_from|\bvars/")
# A role's documents, and all by which a task may name them: Ansible looks for the source of a copy in the role itself.
DOCUMENTS = re.compile(r"README|role_path|roles/|dirname|\.\./|fileglob|filetree|src[:=] *[\"']?\.")
# The top-level blocks of HCL that another file can refer to: all but `build`, whose sources have one label.
DEFINES = re.compile(
    r"^\s*(?:(?:packer|variables?|locals?|data)(?:\s*[\"{]|\s+\w)|source\s+\S+\s+[^\s{])", re.MULTILINE
)
# Files of the playbook for one family each.
FAMILY_FILES = ("updates/{}.yml", "updates/{}-kernels.yml", "layers/archives/{}.sh")


def system(definition: ImageDefinition) -> str:
    return "windows" if definition.windows else "linux"


def playbook_files(playbooks: Path, definition: ImageDefinition) -> list[Path]:
    """The folder of playbooks, without what only other systems and families read. A user's own template may run all."""
    files = list(list_files(playbooks))
    if definition.template:
        return files
    playbook = PLAYBOOKS[system(definition)]
    text = _read_texts([playbooks / playbook])
    unread = {name for name in PLAYBOOKS.values() if name not in text} - {playbook}
    # The playbook chooses these files by the family of the system.
    others = set(FAMILIES.values()) - {definition.family} if definition.family else set()
    foreign = {name.format(family) for name in FAMILY_FILES for family in others}
    unread |= {name for name in foreign if name not in text}
    return [path for path in files if path.relative_to(playbooks).as_posix() not in unread]


def role_files(role: Path, family: str | None) -> list[Path]:
    """Files of a role, without the variables of families other than `family`. None keeps all families."""
    unread = set() if takes_templates(role) else {role / FITNESS}
    if family:
        unread |= {role / "vars" / f"{name}.yml" for name in FAMILIES.values() if name != family}
    return [path for path in list_files(role) if path not in unread]


def takes_templates(role: Path) -> bool:
    """Whether a role declares that text in its variables may be a Jinja template: `templates: true`."""
    return read_fitness(role).templates


def reads_vars_by_family(path: Path) -> bool:
    """Whether a file reads variables only of the machine's own family, chosen by the fact os_family."""
    return not VARS.search(VARS_BY_FAMILY.sub("", _read_texts([path])))


def is_document(role: Path, path: Path) -> bool:
    """Whether a file of a role is for people, as README.md is."""
    return path.parent == role and path.name.startswith("README")


def may_read_documents(path: Path) -> bool:
    """Whether a file that Ansible evaluates may name the documents of a role."""
    return bool(DOCUMENTS.search(_read_texts([path])))


def template_files(folder: Path, definition: ImageDefinition) -> list[Path]:
    """Files of one of our templates, without the build of the other system and the folder named after that system."""
    (other_system,) = PLAYBOOKS.keys() - {system(definition)}
    build = folder / f"{other_system}.pkr.hcl"
    files = list(list_files(folder))
    paths = [path for path in files if path != build and folder / other_system not in path.parents]
    # Packer parses each *.pkr.hcl; `-only` then takes one build, which sees what the top level of every file defines.
    if DEFINES.search(_read_texts([build])) or f"{other_system}/" in _read_texts(paths):
        return files
    return paths


def role_dependencies(role: Path) -> list[str]:
    """Roles that a role's meta or tasks name, and those in a path in any text of it that Ansible evaluates.

    A name computed by a template cannot be seen. A role that is never used may be among them.
    """
    names = read_dependencies(role)
    texts = {path: text for path, text in read_evaluated(role).items() if not is_document(role, path)}
    text = "\n".join(texts.values())
    for path, task_text in texts.items():
        folder = path.relative_to(role).parts[0]
        # Reading YAML takes milliseconds.
        if path.suffix not in TASK_SUFFIXES or not any(word in task_text for word in INCLUDED_ROLES):
            continue
        if folder not in NO_TASKS or f"{folder}/" in text:
            names += _included_roles(path, yamlfile.compose_nodes(path))
    return names + [name for name in NEIGHBOURS.findall(text) if (role.parent / name).is_dir() and name != role.name]


def roles_in_variables(definition: ImageDefinition) -> list[str]:
    """Names in the paths in a definition's variables, which may be those of roles."""
    return NEIGHBOURS.findall(exact_json([use.vars for use in definition.software.roles]))


def read_evaluated(role: Path) -> dict[Path, str]:
    """The text of each file of a role that Ansible may evaluate.

    Ansible copies files/ as it is, unless a task reads it in another way.
    """
    paths = [path for path in list_files(role) if path.is_file()]
    texts = {path: _read_texts([path]) for path in paths if role / "files" not in path.parents}
    if any(map(FILES.search, texts.values())):
        texts |= {path: _read_texts([path]) for path in paths if path not in texts}
    return texts


def with_dependencies(roles: Iterable[str], dependencies_of: Callable[[str], Iterable[str]]) -> list[str]:
    """Roles by name, and all roles that they use, directly or indirectly; cycles are allowed."""
    names = list(roles)
    for name in names:  # grows meanwhile
        names += [used for used in dependencies_of(name) if used not in names]
    return names


def list_files(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder, and those behind relative links to folders, in the order of their paths.

    An absolute link names a folder of the image, or of one machine. Python's compiled files are left out, and what
    editors keep beside an open file.
    """
    if folder.is_dir():
        for path in sorted(_list_below(folder, frozenset({folder.resolve()}))):
            if path.is_file() or path.is_symlink():
                yield path


def _list_below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """All that counts below a folder; a link may lead back to one of those `above`, which are real paths."""
    for path in folder.iterdir():
        if path.name == COMPILED or EDITORS.fullmatch(path.name):
            continue
        yield path
        if path.is_symlink() and path.readlink().is_absolute():
            continue
        if path.is_dir() and (real := path.resolve()) not in above:
            yield from _list_below(path, above | {real})


def _read_texts(paths: list[Path]) -> str:
    return "\n".join(path.read_text(errors="replace") for path in paths if path.is_file())


def _included_roles(path: Path, node: Node | None) -> Iterator[str]:
    """Names behind include_role and import_role, anywhere below a node of a file."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _included_roles(path, item)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if str(key.value).rpartition(".")[2] in INCLUDED_ROLES:
                yield from _named_roles(path, str(key.value), value)
            elif key.value in ACTIONS and (module := _read_module(value)).rpartition(".")[2] in INCLUDED_ROLES:
                yield from _named_roles(path, module, value)
            else:
                yield from _included_roles(path, value)


def _read_module(value: Node) -> str:
    """The module that the value of `action` names: as its first word, or by the key `module`."""
    if isinstance(value, ScalarNode):
        return str(value.value).partition(" ")[0]
    pairs = value.value if isinstance(value, MappingNode) else ()
    return next((str(name.value) for option, name in pairs if option.value == "module"), "")


def _named_roles(path: Path, module: str, value: Node) -> Iterator[str]:
    """The names in the arguments of include_role or import_role."""
    if isinstance(value, ScalarNode) and "name=" in value.value:  # the short form: `include_role: name=x`
        yield from (word.removeprefix("name=") for word in value.value.split() if word.startswith("name="))
        return
    names = (
        [name for option, name in value.value if option.value in ("name", "role")]
        if isinstance(value, MappingNode)
        else []
    )
    if not names or not all(isinstance(name, ScalarNode) for name in names):
        where = f"{path}:{value.start_mark.line + 1}"
        raise UsageError(f"{module} needs the name of a role", where=where, hint=f"write '{module}: {{name: ROLE}}'")
    yield from (name.value for name in names)
