"""Finds the part of a definition that a failed task of Ansible comes from: a package, a role, or a variable of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from bakery.bake.build_output import TaskFailure
from bakery.clouds.job import Job
from bakery.host import yamlfile
from bakery.host.yamlfile import Keys
from bakery.model.definition import ImageDefinition

# The words of Ansible's modules apt, dnf and dnf5 (2.19), and of apt-get itself, for a package that no archive has.
MISSING_PACKAGE = re.compile(
    r"(?:No package matching '|No package\(s\) matching '|No package |no available installation candidate for "
    r"|Unable to locate package |No match for argument: |E: Package ')(?P<name>[\w@.+:~^=*/-]+)"
)
ROLE_TASK = re.compile(r"(?P<role>\w+) : ")
WHOLE_PLAY = "the log has the whole play"
# Pages that search all packages of a distribution, by the first part of the definition's `os`.
SEARCH_PAGES = {
    "debian": "https://packages.debian.org/search?keywords=",
    "ubuntu": "https://packages.ubuntu.com/search?keywords=",
}
SEARCH_COMMANDS = {"Debian": "apt-cache search", "RedHat": "dnf search"}


@dataclass(frozen=True)
class Cause:
    """The place to look at, as `file:line`, and a hint."""

    where: str
    hint: str


def find_cause(failure: TaskFailure, job: Job) -> Cause:
    """The cause of a failed task: in the definition if it names one, else where the task is."""
    role = _find_role(failure, job.definition)
    text = f"{failure.message}\n{failure.output}"
    if names := list(dict.fromkeys(match["name"].rstrip(".") for match in MISSING_PACKAGE.finditer(text))):
        keys = _find_package(job.definition, role, names)
        return Cause((job.where(*keys) if keys else "") or failure.where, _search_hint(job.definition, names))
    if role is None:
        return Cause(failure.where, f"check the task's role and its variables; {WHOLE_PLAY}")
    return _role_cause(failure, job, role)


def _find_role(failure: TaskFailure, definition: ImageDefinition) -> int | None:
    """The number in the definition of the role that a task belongs to; None if the definition does not name it."""
    match = ROLE_TASK.match(failure.task)
    names = [use.name for use in definition.software.roles]
    return names.index(match["role"]) if match and match["role"] in names else None


def _role_cause(failure: TaskFailure, job: Job, role: int) -> Cause:
    use = job.definition.software.roles[role]
    for name in use.vars:
        if re.search(rf"(?<!\w){name}(?!\w)", failure.message):
            where = job.where("software", "roles", role, "vars", name)
            task = f", or the task at {failure.where}" if failure.where and where else ""
            return Cause(where or failure.where, f"check the value of {name}{task}; {WHOLE_PLAY}")
    place = job.where("software", "roles", role, "vars" if use.vars else "name")
    variables = f"the variables of the role {use.name}" + (f" at {place}" if place else "")
    return Cause(failure.where, f"check the task, and {variables}; {WHOLE_PLAY}")


def _find_package(definition: ImageDefinition, role: int | None, names: Sequence[str]) -> Keys | None:
    """The keys of the first of these packages in a definition, also as a value of the variables of a role."""
    software = definition.software
    for number, package in enumerate(software.packages):
        if not {package, _bare_name(package)}.isdisjoint(names):
            return ("software", "packages", number)
    if role is None:
        return None
    for keys, text in yamlfile.walk(software.roles[role].vars):
        if isinstance(text, str) and not {text, _bare_name(text)}.isdisjoint(names):
            return ("software", "roles", role, "vars", *keys)
    return None


def _bare_name(package: str) -> str:
    """The name of a package without the version behind it."""
    return package.partition("=")[0]


def _search_hint(definition: ImageDefinition, names: Sequence[str]) -> str:
    name = _bare_name(names[0])
    page = SEARCH_PAGES.get(definition.os.partition("-")[0])
    command = SEARCH_COMMANDS.get(definition.family or "")
    places = [f"at {page}{quote(name)}"] if page else []
    places += [f"with '{command} {name}' on {definition.os}"] if command else []
    return f"no archive of the image has {' and '.join(names)}: look the name up {', or '.join(places)}"
