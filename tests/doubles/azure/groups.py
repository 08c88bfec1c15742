"""Resource groups: those that a test puts there, with their tags and the times of what is in them."""

from doubles.azure import tags
from doubles.azure.refusal import missing
from doubles.azure.world import LOCATION, SUBSCRIPTION, Json, World


def put(world: World, groups: dict[str, Json]) -> None:
    """Groups by name: their `tags`, and as `created` the times at which what is in them was made."""
    for group in groups.values():
        tags.check(group["tags"])
    world.groups |= {name.lower(): {"name": name, **group} for name, group in groups.items()}


def list_all(world: World) -> list[Json]:
    """All groups with their tags; Azure tells no time of a group."""
    return [
        {"id": _group_id(group["name"]), "name": group["name"], "location": LOCATION, "tags": group["tags"]}
        for group in world.groups.values()
    ]


def list_content(world: World, name: str, *, with_times: bool) -> list[Json]:
    """What is in a group; its times only where they are asked for."""
    group = _find(world, name)
    return [
        {
            "id": f"{_group_id(name)}/providers/Microsoft.Compute/disks/disk{number}",
            "name": f"disk{number}",
            **({"createdTime": created} if with_times else {}),
        }
        for number, created in enumerate(group["created"])
    ]


def delete(world: World, name: str) -> None:
    """End a group with all that is in it, at once."""
    _find(world, name)
    del world.groups[name.lower()]


def _find(world: World, name: str) -> Json:
    if name.lower() not in world.groups:
        raise missing(name)
    return world.groups[name.lower()]


def _group_id(name: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"
