"""Image definitions with the keys of every cloud, and their JSON Schema."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model

from bakery.clouds import CLOUDS
from bakery.host.errors import UsageError
from bakery.model import bases, definition, distribution
from bakery.model.definition import Definitions, ImageDefinition

_BASES: dict[str, Any] = {cloud.builder.name: (cloud.base | None, None) for cloud in CLOUDS.values() if cloud.base}
_SETTINGS: dict[str, Any] = {
    cloud.name: (cloud.distribution | None, None) for cloud in CLOUDS.values() if cloud.distribution
}
_TARGET: Any = Literal[tuple(CLOUDS)]

Bases = create_model("Bases", __base__=bases.Bases, __doc__=bases.Bases.__doc__, **_BASES)
Distribution = create_model(
    "Distribution", __base__=distribution.Distribution, __doc__=distribution.Distribution.__doc__, **_SETTINGS
)
Definition: type[ImageDefinition] = create_model(
    "ImageDefinition",
    __base__=ImageDefinition,
    __doc__=ImageDefinition.__doc__,
    base=(Bases, ...),
    targets=(tuple[_TARGET, ...], ImageDefinition.model_fields["targets"]),
    distribution=(Distribution, Field(default=Distribution(), description="settings of the targets")),
)


def load(folder: Path, cache: Path | None = None) -> Definitions:
    """Read every *.yaml of a folder; UsageError with all errors. `cache` saves parsing unchanged files again."""
    return definition.load(Definition, folder, cache)


def load_valid(folder: Path) -> tuple[Definitions, list[UsageError]]:
    """The valid definitions of a folder, and the errors of the others."""
    return definition.load_valid(Definition, folder)


def json_schema() -> dict[str, Any]:
    """JSON Schema of a definition, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Definition.model_json_schema()}
