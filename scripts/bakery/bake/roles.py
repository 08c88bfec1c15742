"""Whether a definition's software can be baked at all: known before anything is started."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bakery import process
from bakery.definition import ImageDefinition
from bakery.errors import UsageError
from bakery.project import Project
from bakery.strict import near

Where = Callable[..., str]  # keys of a definition -> file:line

# What a role says about the bake modes it works in; without the file it is vm only.
FITNESS = Path("meta") / "bakery.yml"
SPECS = Path("meta") / "argument_specs.yml"

# Secrets travel as environment variables of these programs: a secret must not pass for one of their settings.
RESERVED_PREFIXES = ("ANSIBLE_", "PACKER_", "VAULT_", "PYTHON", "LD_", "SSH_")


def check_roles(project: Project, definition: ImageDefinition, where: Where) -> None:
    """UsageError unless every role is there and knows its variables, and no secret's name is taken."""
    known = sorted(path.name for path in project.roles.glob("*") if (path / "tasks").is_dir())
    for number, use in enumerate(definition.software.roles):
        if use.name not in known:
            raise UsageError(
                f"no role named '{use.name}'",
                where=where("software", "roles", number, "name"),
                hint=near(use.name, known) or f"write {project.roles / use.name}/tasks/main.yml",
            )
        options = _options(project.roles / use.name)
        for name in use.vars:
            if options and name not in options:
                raise UsageError(
                    f"the role {use.name} has no variable '{name}'",
                    where=where("software", "roles", number, "vars", name),
                    hint=near(name, options),
                )
    _check_secret_names(definition, where)


def check_mode(project: Project, definition: ImageDefinition, where: Where) -> None:
    """UsageError unless every role declares itself fit for the definition's mode."""
    for number, use in enumerate(definition.software.roles):
        if definition.mode not in _modes(project.roles / use.name):
            raise UsageError(
                f"the role {use.name} is not declared fit for mode {definition.mode}",
                where=where("software", "roles", number, "name"),
                hint=f"use mode: vm; or see that it works and write 'modes: [vm, {definition.mode}]' to its {FITNESS}",
            )


def _modes(role: Path) -> list[str]:
    declared = _load(role / FITNESS)
    return list(declared.get("modes") or ["vm"])


def _options(role: Path) -> list[str]:
    """Variables that a role documents; empty if it documents none, which allows all."""
    specs = _load(role / SPECS).get("argument_specs") or {}
    return list((specs.get("main") or {}).get("options") or {})


def _load(path: Path) -> dict[str, Any]:
    data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return data if isinstance(data, dict) else {}


def _check_secret_names(definition: ImageDefinition, where: Where) -> None:
    for name in definition.secrets:
        variable = name.upper()
        if variable in process.PASSED_ON or variable.startswith(RESERVED_PREFIXES):
            raise UsageError(
                f"a secret cannot be named '{name}': its variable {variable} means something to the tools",
                where=where("secrets", name),
                hint=f"name it after its role, such as 'nginx_{name}'",
            )
