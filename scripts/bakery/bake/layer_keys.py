"""The cuts of a bake, where a layer may be kept, and the key of each: all that decides the disk up to there."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery.bake.bake_files import role_dependencies, roles_in_variables, takes_templates, with_dependencies
from bakery.bake.role_documents import read_dependencies
from bakery.bake.role_effects import BY_ENVIRONMENT, Effects, RoleText, read_effects, read_text
from bakery.model import inputs as names
from bakery.model.definition import ImageDefinition
from bakery.model.inputs import canonical_json, exact_json
from bakery.model.resources import Resources

FAMILIES = ("Debian", "RedHat")  # whose archives ansible/playbooks/layers/archives/ lists
FORMAT = "2"  # of a layer; raise it when the same key stands for another disk
# Inputs of the whole image that no role sees before the seal.
LATER = frozenset({names.PARENT, names.PACKAGES, names.ROLES, names.PASSWORDS, names.DESCRIPTION})


@dataclass(frozen=True)
class Cut:
    """The point after the first `roles` roles of a definition; `last` is the last one, empty if there is none."""

    roles: int
    last: str
    key: str


@dataclass(frozen=True)
class _Use:
    """A role of a definition, and the folders of all roles that it uses with their text and effects.

    `dependencies` are those that they name in meta/main.yml.
    """

    name: str
    folders: tuple[Path, ...]
    dependencies: frozenset[str]
    text: RoleText
    effects: Effects


def list_cuts(
    definition: ImageDefinition, inputs: Mapping[str, str], base: str, resources: Resources
) -> tuple[Cut, ...]:
    """The cuts in their order. `inputs` are those of the bake, `base` is the SHA-256 of the disk that it starts from.

    Systems without apt and dnf have none, since nobody asks their archives. Nor has a template of the user's own, or a
    bake whose inputs nobody computed.
    """
    if not inputs or definition.family not in FAMILIES or definition.template:
        return ()
    roles = definition.software.roles
    templates = {
        name: exact_json(value)
        for role in roles
        if takes_templates(resources.role(role.name))
        for name, value in role.vars.items()
    }
    named = roles_in_variables(definition)  # one role can read the variables of another
    uses = [_read_use(role.name, named, templates, resources) for role in roles]
    cuts = []
    for count in range(len(uses) + 1):
        before = list(dict.fromkeys(folder for use in uses[:count] for folder in use.folders))
        text = read_text(before).with_values(templates)
        if not _is_independent(definition, before, uses[count:], text):
            continue
        if count or definition.updates != "none" or definition.software.packages:
            key = _compute_key(definition, inputs, base, before, count, text)
            cuts.append(Cut(count, uses[count - 1].name if count else "", key))
    return tuple(cuts)


def _read_use(role: str, named: Sequence[str], templates: Mapping[str, str], resources: Resources) -> _Use:
    names_used = with_dependencies([role, *named], lambda name: role_dependencies(resources.role(name)))
    folders = tuple(resources.role(name) for name in names_used)
    dependencies = frozenset(name for folder in folders for name in read_dependencies(folder))
    return _Use(role, folders, dependencies, read_text(folders).with_values(templates), read_effects(folders))


def find_last_equal(
    definition: ImageDefinition, before: Mapping[str, str], after: Mapping[str, str], resources: Resources
) -> Cut | None:
    """The last cut up to which two bakes of a definition do the same; None if they differ from the start."""
    keys = {cut.key for cut in list_cuts(definition, before, before.get(names.PARENT, ""), resources)}
    cuts = list_cuts(definition, after, after.get(names.PARENT, ""), resources)
    return next((cut for cut in reversed(cuts) if cut.key in keys), None)


def _is_independent(definition: ImageDefinition, before: Sequence[Path], after: Sequence[_Use], text: RoleText) -> bool:
    """Whether the roles before a cut leave nothing but the disk, and see nothing that is no input of theirs."""
    if text.differs_by_bake or text.reads_outside or text.hides_archives or text.renames_system:
        return False
    if _may_read_secrets(definition, text):
        return False
    if any("{{" in role.name for role in before):  # nobody knows which role it uses
        return False
    effects, ran = read_effects(before), {role.name for role in before}
    return not any(
        # Ansible runs a dependency once in a play, so it does not run after a role that ran it.
        use.dependencies & ran or use.text.shares_volatile(text) or use.text.can_miss(effects, use.effects)
        for use in after
    )


def _may_read_secrets(definition: ImageDefinition, text: RoleText) -> bool:
    """Whether a secret may be on the disk. A layer is no place for one, as it is kept and not sealed."""
    secrets = {name.upper() for name in definition.secrets}
    return bool(secrets) and (bool(secrets & text.words) or bool(BY_ENVIRONMENT.search(text.text)))


def _compute_key(
    definition: ImageDefinition,
    inputs: Mapping[str, str],
    base: str,
    before: Sequence[Path],
    count: int,
    text: RoleText,
) -> str:
    roles = {role.name for role in before}
    used = {use.name for use in definition.software.roles[:count]}

    def decides(name: str) -> bool:
        kind, _, rest = name.partition(":")
        if kind == "role":
            role = rest.partition("/")[0]
            return role in roles or text.names_file_of(role)
        if kind == "var":
            role, _, variable = rest.partition(".")
            # Ansible itself reads those of its own.
            return role in used or text.may_read(variable) or variable.startswith("ansible_")
        if kind == "template":
            return rest.partition("/")[0] == definition.template_folder("qemu")
        # Another builder's base. Secrets are not there yet, and tags only in a template of the user's own.
        return kind not in ("base", "secret", "tag") and name not in LATER

    parts = {
        "format": FORMAT,
        "base": base,
        "image": definition.name if text.may_read("bakery_image") else "",
        "packages": inputs.get(names.PACKAGES, ""),
        "count": count,
        "roles": json.loads(inputs.get(names.ROLES, "[]"))[:count],
        "inputs": {name: value for name, value in inputs.items() if decides(name)},
    }
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:32]
