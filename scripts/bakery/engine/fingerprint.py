"""The input key of a bake: everything that can change the result, by name, and one digest over all of it.

The table of inputs is flat (`var:nginx.port` -> `8080`) so that two of them can be compared line by line: a plan says
which input changed, not only that one did.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bakery.clouds import BUILDERS
from bakery.host import files, yamlfile
from bakery.host.errors import UsageError
from bakery.model.bases import QemuBase
from bakery.model.definition import ImageDefinition
from bakery.model.inputs import Inputs, canonical
from bakery.model.project import Project

# Raised by hand when code (not data: templates, roles and recipes are hashed) changes what a bake makes.
ENGINE = "1"
# The tools that make a disk when nothing is installed on it.
DISK_TOOLS = ("tool:mmdebstrap", "tool:mke2fs", "tool:qemu-img")
# What only one builder uses; all else counts for every build.
ONLY = {f"tool:{tool}": builder.name for builder in BUILDERS.values() for tool in builder.tools}
SEAL = "seal"  # the role that ends every bake
INCLUDES = ("include_role", "import_role")


class Fingerprints:
    """Computes inputs; shared trees (roles, templates, recipes) are read once for all definitions."""

    def __init__(self, project: Project, tools: Mapping[str, str], machine: Mapping[str, str]) -> None:
        """`tools` are versions by name, `machine` what a guest sees of its hardware and firmware."""
        self._project = project
        self._tools = {f"tool:{name}": version for name, version in tools.items()}
        self._machine = {f"machine:{name}": value for name, value in machine.items()}
        self._provisioning = {
            **{f"ansible:{name}": digest for name, digest in _walk(project.resources.playbooks)},
        }
        self._trees: dict[Path, Inputs] = {}
        self._dependencies: dict[str, list[str]] = {}

    def inputs(self, definition: ImageDefinition, where: Path, base: str) -> Inputs:
        """All inputs of a bake. `where` is the definition's file, `base` the parent's disk digest ("" if none)."""
        builders = definition.builders
        inputs = {"engine": ENGINE, "os": definition.os, "arch": definition.arch, **self._base(definition, base)}
        if definition.provisioned or definition.remote_targets:
            tools = {name: version for name, version in self._tools.items() if ONLY.get(name) in (None, *builders)}
            return inputs | tools | self._provisioned(definition, where)
        return inputs | {name: version for name, version in self._tools.items() if name in DISK_TOOLS}

    def _provisioned(self, definition: ImageDefinition, where: Path) -> Inputs:
        """What Packer and Ansible bring in."""
        software = definition.software
        inputs = {
            **self._provisioning,
            **(self._machine if "qemu" in definition.builders else {}),
            **self._template(definition, where),
            **self._answers(definition, where),
            "mode": definition.mode,
            "packages": canonical(software.packages),
            "roles": canonical([use.name for use in software.roles]),
        }
        for use in software.roles:
            inputs |= {f"var:{use.name}.{name}": canonical(value) for name, value in use.vars.items()}
        for name in self._with_dependencies([*(use.name for use in software.roles), SEAL]):
            inputs |= self._tree(self._project.resources.role(name), f"role:{name}")
        inputs |= {f"secret:{name}": f"{ref.path}#{ref.key}" for name, ref in definition.secrets.items()}
        return inputs

    def _base(self, definition: ImageDefinition, parent: str) -> Inputs:
        """What each builder starts from; the content of an image of ours, whatever it is built with."""
        given = definition.base.model_dump(mode="json", exclude_none=True, exclude={"qemu"})
        remote = {f"base:{name}": canonical(base) for name, base in given.items()}
        return {**self._local_base(definition.base.qemu, parent), **remote}

    def _local_base(self, base: QemuBase | None, parent: str) -> Inputs:
        if base is None:
            return {"base": parent} if parent else {}
        if base.image:
            return {"base": parent}
        if base.url:
            return {"base": f"sha256:{base.sha256}"}
        recipe = self._tree(self._project.resources.recipe("debian"), "recipe")
        return {"base": canonical(base.model_dump(mode="json")["debootstrap"]), **recipe}

    def _template(self, definition: ImageDefinition, where: Path) -> Inputs:
        if definition.template:
            return self._tree(where.parent / definition.template, "template")
        inputs: Inputs = {}
        for builder in definition.builders:
            folder = definition.template_folder(builder)
            # Packer reads what is behind a link, and a wheel has a file in its place.
            inputs |= self._tree(self._project.resources.template(folder), f"template:{folder}", follow=True)
        return inputs

    def _answers(self, definition: ImageDefinition, where: Path) -> Inputs:
        """What builders read beside the definition, such as the answers for an installer."""
        inputs: Inputs = {}
        for base in definition.base.by_builder.values():
            for label, folder in base.folders.items():
                inputs |= self._tree(where.parent / folder, label)
        return inputs

    def _with_dependencies(self, roles: list[str]) -> list[str]:
        """The roles and all that they use, directly or not; they may use each other."""
        found = list(roles)
        for name in found:
            if name not in self._dependencies:
                self._dependencies[name] = _dependencies(self._project.resources.role(name))
            found += [other for other in self._dependencies[name] if other not in found]
        return found

    def _tree(self, folder: Path, label: str, follow: bool = False) -> Inputs:
        if folder not in self._trees:
            self._trees[folder] = {f"{label}/{name}": digest for name, digest in _walk(folder, follow)}
        return self._trees[folder]


def _walk(folder: Path, follow: bool = False) -> Iterator[tuple[str, str]]:
    """(relative path, mode and digest or link target) of every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        name = path.relative_to(folder).as_posix()
        link = f"link {path.readlink()} " if path.is_symlink() and not follow else ""
        if path.is_file():
            # Only the executable bit: git keeps no more, so a clone must give the same key.
            mode = "755" if path.stat().st_mode & 0o100 else "644"
            yield name, f"{link}{mode} {files.sha256(path)}"
        elif link:
            yield name, link


def _dependencies(role: Path) -> list[str]:
    """Roles that a role's meta or tasks name; a name computed by a template cannot be seen."""
    names: list[str] = []
    for path in sorted(role.glob("meta/main.y*ml")):
        for entry in (json.loads(yamlfile.parse(path)) or {}).get("dependencies") or ():
            name = entry.get("role", entry.get("name")) if isinstance(entry, dict) else entry
            if not isinstance(name, str):
                raise UsageError("a dependency must be a role's name", where=yamlfile.where(path, ("dependencies",)))
            names.append(name)
    for path in sorted((*role.glob("tasks/**/*.y*ml"), *role.glob("handlers/**/*.y*ml"))):
        if any(word in path.read_text() for word in INCLUDES):  # reading YAML takes milliseconds
            names += _included(yamlfile.compose(path))
    return names


def _included(node: Node | None) -> Iterator[str]:
    """Names behind include_role and import_role, anywhere below a node."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _included(item)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if str(key.value).rpartition(".")[2] not in INCLUDES:
                yield from _included(value)
            elif isinstance(value, ScalarNode):  # the short form: `include_role: name=x`
                yield from (word.removeprefix("name=") for word in value.value.split() if word.startswith("name="))
            else:
                yield from (name.value for option, name in value.value if option.value == "name")
