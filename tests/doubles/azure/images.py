"""Image definitions: made once, described again, never changed in kind."""

import re

from doubles.azure import tags
from doubles.azure.refusal import conflict, invalid, missing, unchangeable
from doubles.azure.world import REGIONS, Json, World

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")
CHOICES = {
    "osType": ("Linux", "Windows"),
    "osState": ("Generalized", "Specialized"),
    "hyperVGeneration": ("V1", "V2"),
    "architecture": ("x64", "Arm64"),
}
REQUIRED = ("osType", "osState", "identifier")
PARTS = ("publisher", "offer", "sku")


def get(world: World, resource_id: str) -> Json:
    """The definition as it is; a new one has got ready by this look."""
    found = world.images.get(resource_id.lower())
    if found is None:
        raise missing(resource_id)
    shown = {**found, "properties": dict(found["properties"])}
    found["properties"]["provisioningState"] = "Succeeded"
    return shown


def put(world: World, gallery_id: str, resource_id: str, body: Json) -> tuple[Json, int]:
    """The definition and 201 for a new one, 200 for one that was there."""
    name = resource_id.rpartition("/")[2]
    if gallery_id.lower() not in world.galleries:
        raise missing(gallery_id)
    if not NAME.fullmatch(name):
        raise invalid(f"the name of a gallery image has 1 to 80 letters, digits, dots, dashes, underscores: {name}")
    if body.get("location") not in REGIONS:
        raise invalid(f"there is no location {body.get('location')}")
    tags.check(body.get("tags", {}))
    properties = body.get("properties", {})
    _check(properties)
    before = world.images.get(resource_id.lower())
    if before:
        _refuse_change(before, body)
    _refuse_duplicate(world, gallery_id, resource_id, properties["identifier"])
    state = "Updating" if before else "Creating"
    world.images[resource_id.lower()] = {
        "id": resource_id,
        "name": name,
        "type": "Microsoft.Compute/galleries/images",
        "location": body["location"],
        "tags": body.get("tags", {}),
        "properties": {"hyperVGeneration": "V1", "architecture": "x64", **properties, "provisioningState": state},
    }
    return world.images[resource_id.lower()], 200 if before else 201


def _check(properties: Json) -> None:
    for name in REQUIRED:
        if not properties.get(name):
            raise invalid(f"Required parameter 'galleryImage.properties.{name}' is missing (null).")
    for name, choices in CHOICES.items():
        if name in properties and properties[name] not in choices:
            raise invalid(f"galleryImage.properties.{name} is {properties[name]!r}, expected one of {choices}")
    for part in PARTS:
        if not properties["identifier"].get(part):
            raise invalid(f"Required parameter 'galleryImage.properties.identifier.{part}' is missing (null).")


def _refuse_change(before: Json, body: Json) -> None:
    if before["location"] != body["location"]:
        raise unchangeable("location")
    for name in ("osType", "osState", "hyperVGeneration", "architecture", "identifier"):
        if name in body["properties"] and before["properties"][name] != body["properties"][name]:
            raise unchangeable(f"galleryImage.properties.{name}")


def _refuse_duplicate(world: World, gallery_id: str, resource_id: str, identifier: Json) -> None:
    for key, other in world.images.items():
        same_gallery = key.startswith(f"{gallery_id.lower()}/") and key != resource_id.lower()
        if same_gallery and other["properties"]["identifier"] == identifier:
            raise conflict(f"the identifier {identifier} is in use by {other['name']}")
