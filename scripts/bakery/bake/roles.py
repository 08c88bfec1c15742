"""Checks before a bake whether a definition's software can be baked at all."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bakery.bake.bake_files import list_files, role_dependencies
from bakery.bake.role_documents import FITNESS, SPECS, read_fitness, read_options
from bakery.host import process
from bakery.host.errors import UsageError, raise_all, suggest
from bakery.model.definition import FAMILIES, ImageDefinition, RoleUse
from bakery.model.project import Project

Where = Callable[..., str]  # keys of a definition -> file:line

# Secrets are environment variables of these programs: a secret must not look like one of their settings.
RESERVED_PREFIXES = ("ANSIBLE_", "PACKER_", "VAULT_", "PYTHON", "LD_", "SSH_")

# Variables that the playbooks set or are given. In Ansible a role's variables go before all others, so one with such a
# name would change what the playbooks do.
OF_PLAYBOOKS = re.compile(
    r"bakery_\w+|software_(?:updates|lock|packages|roles?|role_index|start|layers)"
    r"|layer_(?:beginning|since|seconds|answer|archives|key|roles|upgraded)|image_test(?:s|_report|_command)"
    r"|seal_(?:keep_passwords|at_target|script)|archives_report|root_archive|base_upgrade|grub|unneeded|old_kernels"
    r"|windows_restart|update_categories|in_chroot|keep_layer"
)
# It ends the play of the image without an error: nothing seals the disk, and no later role runs.
END = re.compile(r"\bmeta[:=] *[\"']?(end_play|end_host|end_batch)\b")


def check_roles(project: Project, definition: ImageDefinition, where: Where) -> None:
    """Raise UsageError unless every role exists, works on the OS and has its variables, and no secret's name is taken.

    The error names all problems.
    """
    raise_all(
        [
            *_role_errors(project, definition, where),
            *_family_errors(project, definition, where),
            *_dependency_errors(project, definition),
            *_secret_name_errors(definition, where),
        ]
    )


def check_mode(project: Project, definition: ImageDefinition, where: Where) -> None:
    """Raise UsageError unless every role declares that it works in the definition's mode."""
    raise_all(
        [
            UsageError(
                f"the role {use.name} does not declare that it works in mode {definition.mode}",
                where=where("software", "roles", number, "name"),
                hint=f"use mode: vm; or test the role and write 'modes: [vm, {definition.mode}]' to its {FITNESS}",
            )
            for number, use in enumerate(definition.software.roles)
            if definition.mode not in read_fitness(project.resources.role(use.name)).modes
        ]
    )


def _role_errors(project: Project, definition: ImageDefinition, where: Where) -> Iterator[UsageError]:
    roles = project.resources.roles()
    for number, use in enumerate(definition.software.roles):
        if use.name in roles:
            role = project.resources.role(use.name)
            yield from _variable_errors(role, use, partial(where, "software", "roles", number))
        else:
            yield UsageError(
                f"no role named '{use.name}'",
                where=where("software", "roles", number, "name"),
                hint=suggest(use.name, roles) or f"write {project.resources.role(use.name)}/tasks/main.yml",
            )


def _dependency_errors(project: Project, definition: ImageDefinition) -> Iterator[UsageError]:
    """Read what a plan reads of the roles, and of all roles that they use."""
    names = [use.name for use in definition.software.roles]
    for name in names:  # grows meanwhile
        try:
            used = role_dependencies(project.resources.role(name))
        except UsageError as error:
            yield error
        else:
            names += [other for other in used if other not in names]
            yield from _end_errors(project.resources.role(name))


def _end_errors(role: Path) -> Iterator[UsageError]:
    """Find tasks that end the play, in the files of a role that may have tasks."""
    for path in list_files(role):
        if path.relative_to(role).parts[0] not in ("tasks", "handlers") or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := END.search(line.partition("#")[0]):
                text = f"'meta: {match[1]}' would leave out the later roles and the seal"
                yield UsageError(text, where=f"{path}:{number}", hint="write 'meta: end_role', or a condition")


def _variable_errors(role: Path, use: RoleUse, where: Where) -> Iterator[UsageError]:
    """A role that documents no variables takes all."""
    options = read_options(role)
    for name in use.vars:
        if OF_PLAYBOOKS.fullmatch(name):
            yield UsageError(
                f"the bakery's own playbooks use the variable '{name}'",
                where=where("vars", name),
                hint=f"rename it in the role {use.name}, to {use.name}_{name} for instance",
            )
        elif options and name not in options:
            yield UsageError(
                f"the role {use.name} has no variable '{name}'", where=where("vars", name), hint=suggest(name, options)
            )
    for name, option in options.items():
        if option and option.required and name not in use.vars:
            yield UsageError(
                f"the role {use.name} needs the variable '{name}'",
                where=where("name"),
                hint=f"{role / SPECS} describes it",
            )


def _family_errors(project: Project, definition: ImageDefinition, where: Where) -> Iterator[UsageError]:
    """Check that every role, and installing packages, works on the family of the definition's OS."""
    software, family = definition.software, definition.family
    if family is None:
        yield from _unknown_os_errors(definition, where)
        return
    if software.packages and family == "Windows":
        yield UsageError(
            "packages cannot be installed on Windows",
            where=where("software", "packages"),
            hint="install the software in a role",
        )
    roles = project.resources.roles()
    for number, use in enumerate(software.roles):
        families = read_fitness(project.resources.role(use.name)).families
        if use.name in roles and family not in families:
            yield UsageError(
                f"the role {use.name} works on {' and '.join(families)}, and {definition.os} is {family}",
                where=where("software", "roles", number, "name"),
                hint=f"remove it; or make it work there and add {family} to the families in its {FITNESS}",
            )


def _unknown_os_errors(definition: ImageDefinition, where: Where) -> Iterator[UsageError]:
    """Check that nothing depends on the family. A user's own template decides whether it upgrades the base."""
    software = definition.software
    hint = suggest(definition.os.partition("-")[0], FAMILIES)
    runs_packer = definition.provisioned or definition.remote_targets
    if software.roles or software.packages:
        yield UsageError(
            f"no role works on '{definition.os}'",
            where=where("os"),
            hint=hint or f"there are roles for {', '.join(FAMILIES)}",
        )
    elif definition.updates != "none" and runs_packer and not definition.template:
        yield UsageError(
            f"a bake cannot upgrade '{definition.os}'", where=where("os"), hint=hint or "set 'updates: none'"
        )


def _secret_name_errors(definition: ImageDefinition, where: Where) -> Iterator[UsageError]:
    for name in definition.secrets:
        variable = name.upper()
        if variable in process.PASSED_ON or variable.startswith(RESERVED_PREFIXES):
            yield UsageError(
                f"a secret cannot be named '{name}': its variable {variable} is a setting of the tools",
                where=where("secrets", name),
                hint=f"name it after its role, such as 'nginx_{name}'",
            )
