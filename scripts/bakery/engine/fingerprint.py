"""Computes the inputs of a bake: everything that can change the result, by name (`bakery.model.inputs`)."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from pathlib import Path

from bakery.bake import bake_files, normal_form
from bakery.clouds import BUILDERS
from bakery.host import files
from bakery.model import inputs as names
from bakery.model.bases import QemuBase
from bakery.model.definition import ImageDefinition
from bakery.model.inputs import Inputs, canonical_json, exact_json
from bakery.model.lock import load_lock
from bakery.model.project import Project

# Raise this by hand when code changes the result of a bake. Data (templates, roles, recipes) is hashed.
ENGINE = "1"
# The tools that make a disk without software of the definition.
DISK_TOOLS = tuple(map(names.tool, ("mmdebstrap", "sfdisk", "mformat", "mke2fs", "qemu-img")))
# Tools that only one builder uses; the others count for every build.
ONLY = {names.tool(tool): builder.name for builder in BUILDERS.values() for tool in builder.tools}
SEAL = "seal"  # every bake ends with this role


class Fingerprints:
    """Computes inputs; shared trees (roles, templates, recipes) are read once for all definitions."""

    def __init__(self, project: Project, tools: Mapping[str, str], machine: Mapping[str, str]) -> None:
        """`tools` are versions by name, `machine` the hardware and firmware that a guest sees."""
        self._project = project
        self._tools = {names.tool(name): version for name, version in tools.items()}
        self._machine = {names.machine(name): value for name, value in machine.items()}
        self._digests: dict[tuple[Path, bool, bool], str] = {}
        self._dependencies: dict[str, list[str]] = {}
        self._by_family: dict[Path, bool] = {}
        self._by_document: dict[Path, bool] = {}
        self._shared: dict[Hashable, Inputs] = {}

    def inputs(self, definition: ImageDefinition, where: Path, base: str) -> Inputs:
        """All inputs of a bake. `where` is the definition's file, `base` the parent's content ("" if none)."""
        builders = definition.builders
        inputs = {
            names.ENGINE: ENGINE,
            names.OS: definition.os,
            names.ARCH: definition.arch,
            **self._base_inputs(definition, base),
            **_lock_inputs(definition, where),
        }
        if definition.provisioned or definition.remote_targets:
            tools = {name: version for name, version in self._tools.items() if ONLY.get(name) in (None, *builders)}
            return inputs | tools | self._provisioning_inputs(definition, where)
        return inputs | {name: version for name, version in self._tools.items() if name in DISK_TOOLS}

    def _provisioning_inputs(self, definition: ImageDefinition, where: Path) -> Inputs:
        """The inputs of Packer and Ansible."""
        software = definition.software
        inputs = {
            **self._ansible_inputs(definition),
            **(self._machine if "qemu" in definition.builders else {}),
            **self._template_inputs(definition, where),
            **self._answer_inputs(definition, where),
            names.MODE: definition.mode,
            names.UPDATES: definition.updates,
            names.PACKAGES: canonical_json(software.packages),
            names.ROLES: canonical_json([use.name for use in software.roles]),
        }
        for use in software.roles:
            inputs |= {names.variable(use.name, name): exact_json(value) for name, value in use.vars.items()}
        if definition.template:
            inputs[names.DESCRIPTION] = definition.description
            inputs |= {names.tag(name): value for name, value in definition.tags.items()}
        if definition.keeps_passwords:
            inputs[names.PASSWORDS] = "kept"
        inputs |= {names.secret(name): f"{ref.path}#{ref.key}" for name, ref in definition.secrets.items()}
        return inputs

    def _ansible_inputs(self, definition: ImageDefinition) -> Inputs:
        """The playbooks and the roles. Definitions that read the same files share the result."""
        uses = definition.software.roles
        documents = any(bake_files.DOCUMENTS.search(exact_json(use.vars)) for use in uses)
        roles = (*(use.name for use in uses), *bake_files.roles_in_variables(definition))
        key = ("ansible", roles, definition.windows, definition.family, definition.template is None, documents)
        return self._compute_once(key, lambda: self._read_ansible(definition, documents))

    def _read_ansible(self, definition: ImageDefinition, documents: bool) -> Inputs:
        """`documents` says that variables may name the documents of a role."""
        playbooks = self._project.resources.playbooks
        playbook_files = bake_files.playbook_files(playbooks, definition)
        return {
            **self._tree_inputs(playbooks, "ansible:", playbook_files),
            **self._role_inputs(definition, playbook_files, documents),
        }

    def _role_inputs(self, definition: ImageDefinition, playbook_files: list[Path], documents: bool) -> Inputs:
        own = [*(use.name for use in definition.software.roles), SEAL]
        own += bake_files.roles_in_variables(definition)
        roles = bake_files.with_dependencies(own, self._dependencies_of)
        folders = {name: self._project.resources.role(name) for name in roles}
        by_role = {name: bake_files.role_files(role, definition.family) for name, role in folders.items()}
        # Ansible does not evaluate files/. One role can read the variables of another, so all of them decide.
        evaluated = [
            path for name, paths in by_role.items() for path in paths if folders[name] / "files" not in path.parents
        ]
        evaluated += playbook_files
        if not all(map(self._reads_vars_by_family, evaluated)):
            by_role = {name: bake_files.role_files(role, None) for name, role in folders.items()}
        documents = documents or bool(definition.template) or any(map(self._may_read_documents, evaluated))
        inputs: Inputs = {}
        for name, role in folders.items():
            paths = [path for path in by_role[name] if documents or not bake_files.is_document(role, path)]
            inputs |= self._tree_inputs(role, f"role:{name}/", paths)
        return inputs

    def _base_inputs(self, definition: ImageDefinition, parent: str) -> Inputs:
        """The base of each builder. A parent counts by its content, not by the way it was built."""
        bases = definition.base.model_dump(mode="json", exclude_none=True, exclude={"qemu"})
        remote = {names.remote_base(name): canonical_json(base) for name, base in bases.items()}
        return {**self._local_base_inputs(definition.base.qemu, parent), **remote}

    def _local_base_inputs(self, base: QemuBase | None, parent: str) -> Inputs:
        if base is None:
            return {names.PARENT: parent} if parent else {}
        if base.image:
            return {names.PARENT: parent}
        if base.checksums:
            return {names.PARENT: f"{base.url} in {base.checksums}"}
        if base.url:
            return {names.PARENT: f"sha256:{base.sha256}"}
        recipe = self._compute_once("recipe", self._read_recipe)
        return {names.PARENT: canonical_json(base.model_dump(mode="json")["debootstrap"]), **recipe}

    def _read_recipe(self) -> Inputs:
        return self._folder_inputs(self._project.resources.recipe("debian"), "recipe")

    def _template_inputs(self, definition: ImageDefinition, where: Path) -> Inputs:
        if definition.template:
            folder = where.parent / definition.template
            return self._packer_inputs(folder, "template/", list(bake_files.list_files(folder)), follow=False)
        inputs: Inputs = {}
        for builder in definition.builders:
            name = definition.template_folder(builder)
            key = ("template", name, definition.windows)
            inputs |= self._compute_once(key, partial(self._read_template, name, definition))
        return inputs

    def _read_template(self, name: str, definition: ImageDefinition) -> Inputs:
        folder = self._project.resources.template(name)
        # Packer follows links, and a wheel has files in their place.
        paths = bake_files.template_files(folder, definition)
        return self._packer_inputs(folder, f"template:{name}/", paths, follow=True)

    def _packer_inputs(self, folder: Path, prefix: str, paths: list[Path], follow: bool) -> Inputs:
        normal = not normal_form.is_read_as_text(paths)
        return self._tree_inputs(folder, prefix, paths, follow, normal)

    def _answer_inputs(self, definition: ImageDefinition, where: Path) -> Inputs:
        """Files that builders read beside the definition, such as the answers for an installer."""
        inputs: Inputs = {}
        for base in definition.base.by_builder.values():
            for label, folder in base.folders.items():
                inputs |= self._folder_inputs(where.parent / folder, label)
        return inputs

    def _dependencies_of(self, role: str) -> list[str]:
        if role not in self._dependencies:
            self._dependencies[role] = bake_files.role_dependencies(self._project.resources.role(role))
        return self._dependencies[role]

    def _reads_vars_by_family(self, path: Path) -> bool:
        if path not in self._by_family:
            self._by_family[path] = bake_files.reads_vars_by_family(path)
        return self._by_family[path]

    def _may_read_documents(self, path: Path) -> bool:
        if path not in self._by_document:
            self._by_document[path] = bake_files.may_read_documents(path)
        return self._by_document[path]

    def _compute_once(self, key: Hashable, compute: Callable[[], Inputs]) -> Inputs:
        """Inputs that several definitions share, by all that decides them."""
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]

    def _folder_inputs(self, folder: Path, label: str) -> Inputs:
        return self._tree_inputs(folder, f"{label}/", bake_files.list_files(folder))

    def _tree_inputs(
        self, folder: Path, prefix: str, paths: Iterable[Path], follow: bool = False, normal: bool = False
    ) -> Inputs:
        """Digests of files below a folder, by prefix and relative path.

        `follow` reads the targets of links, `normal` takes Packer's files in their normal form.
        """
        inputs: Inputs = {}
        for path in paths:
            key = (path, follow, normal)
            if key not in self._digests:
                self._digests[key] = _file_digest(path, follow, normal)
            inputs[f"{prefix}{path.relative_to(folder).as_posix()}"] = self._digests[key]
        return inputs


def _lock_inputs(definition: ImageDefinition, where: Path) -> Inputs:
    lock = load_lock(definition, where)
    if lock is None:
        return {}
    packages = {names.locked(name): version for name, version in lock.packages.items()}
    return {**packages, **{names.dated(archive): dated for archive, dated in lock.archives.items()}}


def _file_digest(path: Path, follow: bool, normal: bool) -> str:
    """Target of a link, mode and SHA-256 of a file."""
    link = f"link {path.readlink()} " if path.is_symlink() and not follow else ""
    if not path.is_file():
        return link
    # Only the executable bit: git keeps no more, so a clone must give the same key.
    mode = "755" if path.stat().st_mode & 0o100 else "644"
    if normal and path.name.endswith(normal_form.SUFFIX):
        return f"{link}{mode} {hashlib.sha256(normal_form.normalise_hcl(path.read_bytes())).hexdigest()}"
    return f"{link}{mode} {files.sha256(path)}"
