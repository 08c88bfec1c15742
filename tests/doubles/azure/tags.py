"""Tags: their limits, and the API that merges and removes them one by one."""

from doubles.azure.refusal import Refusal, invalid, missing
from doubles.azure.world import Json, World

MOST = 50  # per resource
LONGEST_NAME, LONGEST_VALUE = 512, 256
FORBIDDEN = set("<>%&\\?/")
RESERVED = ("microsoft", "azure", "windows")


def check(tags: Json) -> None:
    """Refuse what a resource cannot have."""
    if len(tags) > MOST:
        raise Refusal(400, "InvalidTags", f"Resource has {len(tags)} tags; {MOST} are allowed.")
    for name, value in tags.items():
        if not 0 < len(name) <= LONGEST_NAME or FORBIDDEN & set(name):
            raise Refusal(400, "InvalidTagNameCharacters", f"The tag name {name!r} cannot be used.")
        if name.lower().startswith(RESERVED):
            raise Refusal(400, "ReservedTagName", f"The prefix of tag name {name!r} is reserved.")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            raise Refusal(400, "TagValueTooLong", f"The value of tag {name!r} is longer than {LONGEST_VALUE}.")


def read(world: World, scope: str) -> Json:
    return _answer(scope, _resource(world, scope).get("tags", {}))


def update(world: World, scope: str, body: Json) -> Json:
    """Merge, Replace, or Delete: the last one only pairs that are there as given."""
    resource = _resource(world, scope)
    have, given = dict(resource.get("tags", {})), body.get("properties", {}).get("tags", {})
    match body.get("operation"):
        case "Merge":
            after = have | given
        case "Replace":
            after = given
        case "Delete":
            after = {name: value for name, value in have.items() if given.get(name) not in (value, "")}
        case other:
            raise invalid(f"operation {other!r}")
    check(after)
    resource["tags"] = after
    return _answer(scope, after)


def _resource(world: World, scope: str) -> Json:
    key = scope.lower()
    if key in world.versions:
        return world.versions[key].body
    if key in world.images:
        return world.images[key]
    raise missing(scope)


def _answer(scope: str, tags: Json) -> Json:
    name = f"{scope}/providers/Microsoft.Resources/tags/default"
    return {"id": name, "name": "default", "type": "Microsoft.Resources/tags", "properties": {"tags": dict(tags)}}
