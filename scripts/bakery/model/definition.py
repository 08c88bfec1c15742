"""Image definitions: YAML files that users edit -> ImageDefinition. Every error says `file:line`.

Nothing here knows a cloud: `clouds.definitions` has the class with the keys of all clouds.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from bakery.host import yamlfile
from bakery.host.errors import UsageError, raise_all, suggest
from bakery.model import validation as strict
from bakery.model.bases import QEMU, Bases
from bakery.model.distribution import Distribution
from bakery.model.documents import Mode, PackageVersions, Updates
from bakery.model.exemption import PASSWORDS, Exemption
from bakery.model.fields import Name, PackageName, SecretPath, TextFormat, VariableName
from bakery.model.gate import VulnerabilityGate
from bakery.model.retention import Retention
from bakery.model.validation import Model, field_error, first_repeated

# Ansible's name of the family (the fact os_family) by the first part of a definition's `os`.
FAMILIES = {
    "debian": "Debian",
    "ubuntu": "Debian",
    "almalinux": "RedHat",
    "rhel": "RedHat",
    "rocky": "RedHat",
    "windows": "Windows",
}
LONGEST_WAIT = 36500  # days: a century, so that every date of a rebuild exists


class RoleUse(Model):
    """An Ansible role and the values of its variables."""

    name: VariableName = Field(description="folder of the role in ansible/roles/")
    vars: dict[VariableName, JsonValue] = Field(default_factory=dict, description="values of its variables, by name")


class Software(Model):
    """The software requirements: packages of the OS by name, then roles in order."""

    packages: tuple[PackageName, ...] = Field(
        default=(), description="names of packages, as the package manager knows them"
    )
    roles: tuple[RoleUse, ...] = Field(default=(), description="Ansible roles in their order, each with its name")

    @model_validator(mode="after")
    def _no_clash(self) -> Self:
        # All roles of a bake run in one play, which has one set of variables.
        for names in ([use.name for use in self.roles], [name for use in self.roles for name in use.vars]):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"'{twice[0]}' is listed twice, but roles share their variables")
        return self


class SecretRef(Model):
    """The location of a secret in Vault, never its value.

    Roles read the value from the environment variable with the secret's name in capital letters.
    """

    path: SecretPath = Field(description="API path; KV version 2 has data/ in it: secret/data/bakery/web")
    key: str = Field(description="key inside the secret")


class ImageDefinition(Model):
    """One machine image: its bases, its software and its targets."""

    name: Name = Field(description="part of the names of images, parameters and files")
    description: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(description="for people")
    os: Annotated[
        str, TextFormat(r"^[a-z]+-[0-9.]+$", "a family in small letters, a hyphen and a release", "debian-13")
    ] = Field(description="family-release: debian-13")
    arch: Literal["x86_64"]
    version: Annotated[
        str, TextFormat(r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$", "two numbers, without leading zeros", "1.0")
    ] = Field(description="MAJOR.MINOR in quotes; the catalog counts PATCH")
    mode: Mode = Field(default="vm", description="vm boots the image to provision it; chroot needs suitable roles")
    base: Bases
    template: str | None = Field(default=None, description="folder with your own *.pkr.hcl, relative to the definition")
    software: Software = Field(default=Software(), description="software to install on the base")
    updates: Updates = Field(
        default="all",
        description="what a bake upgrades in the base before packages and roles; security takes security archives only",
    )
    package_versions: PackageVersions = Field(
        default="track",
        description="track takes the newest, pinned those of the lock beside this file, offline also fetches none",
    )
    secrets: dict[VariableName, SecretRef] = Field(
        default_factory=dict, description="secrets by name; roles read the value from the environment variable NAME"
    )
    vulnerabilities: VulnerabilityGate | None = Field(
        default=None, description="known vulnerabilities that a disk must not have"
    )
    exemptions: tuple[Exemption, ...] = Field(default=(), description="rules for images that this one may break")
    tests: tuple[VariableName, ...] = Field(default=(), description="test_<name>.py in packer/tests/")
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("local",), description="targets that get the tested image, by name; their settings are in distribution"
    )
    distribution: Distribution = Field(default=Distribution(), description="settings of the targets")
    tags: dict[str, str] = Field(default_factory=dict, description="tags on image and snapshots at every target")
    channel: Name | None = Field(default=None, description="channel to move after each successful run")
    rebuild_after_days: Annotated[int, Field(ge=1, le=LONGEST_WAIT)] | None = Field(
        default=None,
        description="bake again after this many days even if nothing changed, for package updates",
    )

    max_failures: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="pause the image after this many failed runs of the same inputs; --rebuild tries again",
    )
    retention: Retention | None = Field(default=None, description="when old versions are retired")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for target in self.targets:
            if target in type(self.distribution).model_fields and target not in self.distribution.by_target:
                raise ValueError(f"target {target} needs distribution.{target}")
            if self.builder_of(target) not in self.base.builders:
                sources = [name for name in (target, QEMU) if name in type(self.base).model_fields]
                raise ValueError(f"target {target} needs base.{' or base.'.join(sources)}")
        for settings in self.distribution.by_target.values():
            settings.check(self)
        if self.remote_targets:
            self._require_plain_texts()
        if self.vulnerabilities and self.windows:
            message = "no bill of materials is written for Windows"
            raise field_error(message, "remove the gate", "vulnerabilities")
        if self.tests and self.windows:
            message = "image tests log in over SSH, which no bake of Windows sets up"
            raise field_error(message, "remove them, and check in a role what they check", "tests")
        index = first_repeated([exemption.rule for exemption in self.exemptions])
        if index is not None:
            message = f"'{self.exemptions[index].rule}' is exempted twice"
            raise field_error(message, "keep one of them", "exemptions", index, "rule")
        if self.has_lock:
            self._require_lockable()
        if self.mode == "chroot" and self.windows:
            raise ValueError("Windows cannot be baked in mode chroot")
        for base in self.base.by_builder.values():
            base.check(self)
        return self

    def _require_plain_texts(self) -> None:
        """Check the texts that Packer's builders evaluate."""
        texts: list[tuple[tuple[str, ...], str]] = [
            (("description",), self.description),
            *((("tags", name), text) for name, text in self.tags.items()),
        ]
        for keys, text in texts:
            if "{{" in text:
                message = f"Packer evaluates two opening braces when it builds at {self.remote_targets[0]}"
                raise field_error(message, "write the text without them", *keys)

    def _require_lockable(self) -> None:
        key = "package_versions"
        if self.family != "Debian":
            raise field_error("only images of Debian's family can have a lock", f"remove {key}", key)
        if self.remote_targets:
            message = f"no lock holds the packages of the image that Packer builds at {self.remote_targets[0]}"
            raise field_error(message, f"remove {key}, or let QEMU build the disk for this target", key)
        if self.updates != "all":
            message = f"the lock decides what a bake upgrades, but updates is {self.updates}"
            raise field_error(message, "remove updates", "updates")

    @property
    def has_lock(self) -> bool:
        """Whether a lock decides the versions of its packages."""
        return self.package_versions != "track"

    @property
    def windows(self) -> bool:
        """Whether Packer connects to the guest by WinRM instead of SSH."""
        return self.os.startswith("windows-")

    @property
    def keeps_passwords(self) -> bool:
        """Whether the seal leaves logins with a password as they are."""
        return any(exemption.rule == PASSWORDS for exemption in self.exemptions)

    @property
    def family(self) -> str | None:
        """Ansible's name of the OS family; None if roles cannot support it."""
        return FAMILIES.get(self.os.partition("-")[0])

    def builder_of(self, target: str) -> str:
        """The builder of a target's image: Packer's builder there if it has a base, else QEMU."""
        return target if target in self.base.builders else QEMU

    @property
    def builders(self) -> list[str]:
        """The builders that its targets need, QEMU first. A base without a target is not used."""
        needed = {self.builder_of(target) for target in self.targets}
        return [name for name in self.base.builders if name in needed]

    @property
    def remote_targets(self) -> list[str]:
        """The targets at which Packer builds."""
        return [target for target in self.targets if self.builder_of(target) == target]

    def template_folder(self, builder: str) -> str:
        """The template's folder: below packer/templates, or the definition's own."""
        return "chroot" if builder == QEMU and self.mode == "chroot" else builder

    @property
    def provisioned(self) -> bool:
        """Whether Packer has work to do; otherwise the base disk is the image.

        A base made from packages is not upgraded: it got their newest versions when it was made.
        """
        is_new = self.base.qemu is not None and self.base.qemu.debootstrap is not None
        has_updates = self.updates != "none" and not is_new
        return bool(has_updates or self.software.packages or self.software.roles or self.template)

    @property
    def parent(self) -> str | None:
        """The image of this project that is the parent."""
        return next(iter(self.base.images), None)


class Definitions:
    """All definitions of a folder by name, each with its file."""

    def __init__(self, images: Mapping[str, ImageDefinition], sources: Mapping[str, Path]) -> None:
        self.images = dict(images)
        self.sources = dict(sources)

    def select(self, names: Iterable[str]) -> list[ImageDefinition]:
        """The named images, or all. UsageError, with a similar name, if one does not exist."""
        selection = list(dict.fromkeys(names)) or list(self.images)
        for name in selection:
            if name not in self.images:
                plain = PurePath(name).stem.lower()  # also of a file's path
                hint = suggest(plain, self.images) or "'bakery validate' lists the definitions"
                raise UsageError(f"no image named '{name}'", hint=hint)
        return [self.images[name] for name in selection]

    def with_ancestors(self, names: Iterable[str]) -> list[ImageDefinition]:
        """The selected images and all their ancestors."""
        images = {image.name: image for image in self.select(names)}
        for image in tuple(images.values()):
            while image.parent and image.parent not in images:
                image = self.images[image.parent]
                images[image.name] = image
        return list(images.values())

    def where(self, name: str, *keys: str | int) -> str:
        """`file:line` of a key of an image."""
        return yamlfile.where(self.sources[name], keys)


def load(kind: type[ImageDefinition], folder: Path, cache: Path | None = None) -> Definitions:
    """Read every *.yaml of a folder as a `kind`. Raises UsageError with all errors in them.

    `cache` is a file that saves parsing unchanged files again.
    """
    definitions, errors = load_valid(kind, folder, cache)
    raise_all(errors)
    return definitions


def load_valid(
    kind: type[ImageDefinition], folder: Path, cache: Path | None = None
) -> tuple[Definitions, list[UsageError]]:
    """The valid definitions of a folder, and the errors in the others and between them.

    UsageError if the folder has no definition at all.
    """
    reader = yamlfile.Reader(cache)
    images: dict[str, ImageDefinition] = {}
    sources: dict[str, Path] = {}
    errors = _misnamed_files(folder)
    unreadable: set[str] = set()
    for path in files_of(folder):
        try:
            definition = strict.validate(kind, "definition", path, reader.read(path))
        except UsageError as error:
            errors.append(error)
            unreadable.add(path.stem)
            continue
        if definition.name in images:
            errors.append(
                UsageError(
                    f"image '{definition.name}' is defined twice",
                    where=yamlfile.where(path, ("name",)),
                    detail=f"also in {sources[definition.name]}",
                )
            )
            continue
        images[definition.name], sources[definition.name] = definition, path
    definitions = Definitions(images, sources)
    errors += _lineage_errors(definitions, unreadable)
    if not errors:
        reader.save()
    return definitions, errors


def files_of(folder: Path) -> list[Path]:
    """The files of all definitions; UsageError if there are none."""
    # Editors keep hidden files beside the open one; some are broken links.
    paths = sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("."))
    if not paths:
        raise_all(_misnamed_files(folder))
        raise UsageError(
            "no definitions (*.yaml) found",
            where=str(folder),
            hint="run it in the folder that has packer/images/<name>.yaml, or name their folder with --definitions",
        )
    return paths


def _misnamed_files(folder: Path) -> list[UsageError]:
    """An error for each file that nothing would read, though it looks like a definition."""
    return [
        UsageError("a definition's file must end in .yaml", where=str(path), hint=f"rename it to {path.stem}.yaml")
        for path in sorted(folder.glob("*.yml"))
        if not path.name.startswith(".")
    ]


def _lineage_errors(definitions: Definitions, unreadable: Collection[str]) -> Iterator[UsageError]:
    """Check that every parent exists, and that no image is its own ancestor.

    A parent may be in one of the `unreadable` files, named without their ending.
    """
    circles: set[frozenset[str]] = set()
    for name in definitions.images:
        ancestors = [name]
        while parent := definitions.images[ancestors[-1]].parent:
            builder = next(iter(definitions.images[ancestors[-1]].base.builders))
            where = partial(definitions.where, ancestors[-1], "base", builder, "image")
            if parent not in definitions.images:
                if len(ancestors) == 1 and parent not in unreadable:  # the child of a longer lineage reports it
                    message = f"'{name}' is built on '{parent}', which is not defined"
                    yield UsageError(message, where=where(), hint=suggest(parent, definitions.images))
                break
            if parent in ancestors:
                circle = [*ancestors[ancestors.index(parent) :], parent]
                if frozenset(circle) not in circles:
                    circles.add(frozenset(circle))
                    yield UsageError(f"the lineage is a cycle: {' -> '.join(circle)}", where=where())
                break
            ancestors.append(parent)
