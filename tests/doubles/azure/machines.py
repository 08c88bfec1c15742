"""Virtual machines and scale sets, as far as the image goes that they were made of."""

from doubles.azure.world import LOCATION, Json, World, compute_id


def put(world: World, body: Json) -> None:
    """Add `{"name": ..., "image": {...}}` to the machines, to the scale sets, or to the machines of one (`set`)."""
    if body.get("kind") == "scale set":
        resource = _new_resource(f"virtualMachineScaleSets/{body['name']}")
        resource["properties"] = {"virtualMachineProfile": {"storageProfile": {"imageReference": body["image"]}}}
        world.scale_sets[body["name"]] = resource
        return
    owner = f"virtualMachineScaleSets/{body['set']}/" if "set" in body else ""
    resource = _new_resource(f"{owner}virtualMachines/{body['name']}")
    resource["properties"] = {"storageProfile": {"imageReference": body["image"]}}
    world.machines.setdefault(body.get("set", ""), []).append(resource)


def list_machines(world: World, scale_set: str = "") -> Json:
    return {"value": world.machines.get(scale_set, [])}


def list_scale_sets(world: World) -> Json:
    return {"value": list(world.scale_sets.values())}


def _new_resource(path: str) -> Json:
    return {"id": compute_id(path), "name": path.rpartition("/")[2], "location": LOCATION}
