"""The input key of a bake: everything that can change the result, by name, and one digest over all of it.

The table of inputs is flat (`var:nginx.port` -> `8080`) so that two of them can be compared line by line: a plan says
which input changed, not only that one did.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bakery import bakefiles, files
from bakery.bases import QemuBase
from bakery.definition import ImageDefinition
from bakery.project import Project

# Raised by hand when code (not data: templates, roles and recipes are hashed) changes what a bake makes.
ENGINE = "1"
# The tools that make a disk when nothing is installed on it.
DISK_TOOLS = ("tool:mmdebstrap", "tool:mke2fs", "tool:qemu-img")
# What only one builder uses; all else counts for every build.
ONLY = {
    **dict.fromkeys((*DISK_TOOLS, "tool:qemu-system-x86_64", "tool:packer-plugin-qemu"), "qemu"),
    "tool:packer-plugin-amazon": "aws",
    "tool:packer-plugin-vsphere": "vsphere",
    "tool:packer-plugin-azure": "azure",
}
SEAL = "seal"  # the role that ends every bake

Inputs = dict[str, str]


def key(inputs: Mapping[str, str]) -> str:
    """SHA-256 over canonical JSON."""
    return hashlib.sha256(canonical(inputs).encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Fingerprints:
    """Computes inputs; shared trees (roles, templates, recipes) are read once for all definitions."""

    def __init__(self, project: Project, tools: Mapping[str, str], machine: Mapping[str, str]) -> None:
        """`tools` are versions by name, `machine` what a guest sees of its hardware and firmware."""
        self._project = project
        self._tools = {f"tool:{name}": version for name, version in tools.items()}
        self._machine = {f"machine:{name}": value for name, value in machine.items()}
        self._digests: dict[Path, str] = {}
        self._dependencies: dict[str, list[str]] = {}
        self._by_family: dict[Path, bool] = {}

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
        ansible_files = bakefiles.ansible_files(self._project, definition)
        inputs = {
            **self._tree(self._project.ansible, "ansible:", ansible_files),
            **(self._machine if "qemu" in definition.builders else {}),
            **self._template(definition, where),
            **self._answers(definition, where),
            "mode": definition.mode,
            "packages": canonical(software.packages),
            "roles": canonical([use.name for use in software.roles]),
        }
        for use in software.roles:
            inputs |= {f"var:{use.name}.{name}": canonical(value) for name, value in use.vars.items()}
        inputs |= self._roles(definition, ansible_files)
        inputs |= {f"secret:{name}": f"{ref.path}#{ref.key}" for name, ref in definition.secrets.items()}
        return inputs

    def _roles(self, definition: ImageDefinition, ansible_files: list[Path]) -> Inputs:
        names = self._with_dependencies([*(use.name for use in definition.software.roles), SEAL])
        folders = {name: self._project.roles / name for name in names}
        read = {name: bakefiles.role_files(role, definition.family) for name, role in folders.items()}
        # Ansible does not evaluate files/. One role can read the variables of another, so all of them decide.
        evaluated = [
            path for name, paths in read.items() for path in paths if folders[name] / "files" not in path.parents
        ]
        if not all(map(self._reads_vars_by_family, [*ansible_files, *evaluated])):
            read = {name: bakefiles.role_files(role, None) for name, role in folders.items()}
        inputs: Inputs = {}
        for name, role in folders.items():
            inputs |= self._tree(role, f"role:{name}/", read[name])
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
        recipe = self._whole_tree(self._project.root / "packer" / "base" / "debian", "recipe")
        return {"base": canonical(base.model_dump(mode="json")["debootstrap"]), **recipe}

    def _template(self, definition: ImageDefinition, where: Path) -> Inputs:
        if definition.template:
            return self._whole_tree(where.parent / definition.template, "template")
        inputs: Inputs = {}
        for builder in definition.builders:
            name = definition.template_folder(builder)
            folder = self._project.templates / name
            inputs |= self._tree(folder, f"template:{name}/", bakefiles.template_files(folder, definition))
        return inputs

    def _answers(self, definition: ImageDefinition, where: Path) -> Inputs:
        """What an installer is told."""
        vsphere = definition.base.vsphere
        iso = vsphere.iso if vsphere else None
        return self._whole_tree(where.parent / iso.answers, "answers") if iso else {}

    def _with_dependencies(self, roles: list[str]) -> list[str]:
        """The roles and all that they use, directly or not; they may use each other."""
        found = list(roles)
        for name in found:
            if name not in self._dependencies:
                self._dependencies[name] = bakefiles.dependencies(self._project.roles / name)
            found += [other for other in self._dependencies[name] if other not in found]
        return found

    def _reads_vars_by_family(self, path: Path) -> bool:
        if path not in self._by_family:
            self._by_family[path] = bakefiles.reads_vars_by_family(path)
        return self._by_family[path]

    def _whole_tree(self, folder: Path, label: str) -> Inputs:
        return self._tree(folder, f"{label}/", bakefiles.walk(folder))

    def _tree(self, folder: Path, prefix: str, paths: Iterable[Path]) -> Inputs:
        """Digests of files below a folder, by prefix and relative path."""
        for path in (paths := list(paths)):
            if path not in self._digests:
                self._digests[path] = _digest(path)
        return {f"{prefix}{path.relative_to(folder).as_posix()}": self._digests[path] for path in paths}


def _digest(path: Path) -> str:
    """Target of a link, mode and SHA-256 of a file."""
    link = f"link {path.readlink()} " if path.is_symlink() else ""
    if not path.is_file():
        return link
    # Only the executable bit: git keeps no more, so a clone must give the same key.
    mode = "755" if path.stat().st_mode & 0o100 else "644"
    return f"{link}{mode} {files.sha256(path)}"
