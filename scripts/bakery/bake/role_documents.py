"""The files in a role's `meta/` that the bakery reads, as typed values. Errors have `file:line`."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, JsonValue

from bakery.host import yamlfile
from bakery.host.errors import UsageError
from bakery.model.documents import Mode
from bakery.model.validation import Model, validate

# A role declares its bake modes and OS families here. These two can refuse a bake and never change one: Ansible reads
# only main.yml and argument_specs.yml of meta/.
FITNESS = Path("meta") / "bakery.yml"
SPECS = Path("meta") / "argument_specs.yml"
MAINS = ("main.yml", "main.yaml", "main.json", "main")  # names that Ansible knows


class Fitness(Model):
    """The content of meta/bakery.yml: what a role works with."""

    modes: tuple[Mode, ...] = Field(default=("vm",), description="bake modes that the role works in")
    families: tuple[str, ...] = Field(default=("Debian",), description="OS families that the role works on")
    templates: bool = Field(default=False, description="whether text in its variables may be a Jinja template")


class AnsibleModel(Model):
    """A file that Ansible defines: the bakery reads a part of it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Option(AnsibleModel):
    """A variable of a role."""

    required: Annotated[bool, Field(strict=False)] = False  # Ansible also takes `yes`, which is text in YAML 1.2


class EntryPoint(AnsibleModel):
    """The variables of one file in tasks/."""

    options: dict[str, Option | None] | None = None


class Specs(AnsibleModel):
    """The content of meta/argument_specs.yml."""

    argument_specs: dict[str, EntryPoint | None] | None = None

    @property
    def options(self) -> dict[str, Option | None]:
        """The variables of tasks/main.yml by name; empty if none is documented."""
        main = (self.argument_specs or {}).get("main")
        return (main and main.options) or {}


class RoleMain(AnsibleModel):
    """The content of meta/main.yml."""

    dependencies: tuple[JsonValue, ...] | None = None


Document = TypeVar("Document", bound=Model)


def read_fitness(role: Path) -> Fitness:
    return _read_document(Fitness, role / FITNESS)


def read_options(role: Path) -> dict[str, Option | None]:
    return _read_document(Specs, role / SPECS).options


def read_dependencies(role: Path) -> list[str]:
    """The names of the roles in meta/main.yml, or a file of its other names."""
    names: list[str] = []
    for path in (role / "meta" / name for name in MAINS):
        for number, entry in enumerate(_read_document(RoleMain, path).dependencies or ()):
            name = entry.get("role", entry.get("name")) if isinstance(entry, dict) else entry
            if not isinstance(name, str):
                where = yamlfile.where(path, ("dependencies", number))
                raise UsageError("a dependency must be a role's name", where=where)
            names.append(name)
    return names


def _read_document(kind: type[Document], path: Path) -> Document:
    """A file as a model; the model's defaults if it is absent or empty. Ansible reads the numbers in it itself."""
    text = yamlfile.parse(path, exact=False) if path.is_file() else "null"
    return kind() if text == "null" else validate(kind, path.name, path, text)
