"""Image versions: asynchronous, replicated region by region, never changed in content."""

import re
import uuid
from datetime import UTC, datetime
from urllib.parse import urlsplit

from doubles.azure import disks, tags
from doubles.azure.refusal import conflict, invalid, missing, unchangeable
from doubles.azure.world import REGIONS, STORAGE_ACCOUNT, Json, Replica, Version, World, storage_id

NUMBER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
LARGEST = 2**31 - 1  # each of the three is a 32-bit integer
MOST_REPLICAS = 100
STORAGE_TYPES = ("Standard_LRS", "Standard_ZRS", "Premium_LRS", "PremiumV2_LRS")
MOVING = ("Creating", "Updating", "Deleting")


def get(world: World, resource_id: str, *, replication: bool) -> Json:
    """The version as it is now; each look brings it on."""
    found = _find(world, resource_id)
    advance(world, found)
    if resource_id.lower() not in world.versions:
        raise missing(resource_id)
    return _shown(found, replication=replication)


def list_all(world: World, image_id: str) -> list[Json]:
    """The versions of an image definition, without the state of their replicas."""
    if image_id.lower() not in world.images:
        raise missing(image_id)
    prefix = f"{image_id.lower()}/versions/"
    return [_shown(found, replication=False) for name, found in world.versions.items() if name.startswith(prefix)]


def put(world: World, image_id: str, resource_id: str, body: Json) -> tuple[Version, int]:
    """Start a new one (201), or a change of replicas and tags (200)."""
    image = world.images.get(image_id.lower())
    if image is None or image["properties"]["provisioningState"] == "Creating":
        raise missing(image_id)
    name = resource_id.rpartition("/")[2]
    match = NUMBER.fullmatch(name)
    if not match or max(map(int, match.groups())) > LARGEST:
        raise invalid(f"the name of a gallery image version is MAJOR.MINOR.PATCH, 32-bit integers: {name}")
    tags.check(body.get("tags", {}))
    before = world.versions.get(resource_id.lower())
    if before:
        _refuse_change(before, body)
        before.body["tags"] = body.get("tags", {})
        _replicate(world, before, _targets(body))
        _publish(before, body)
        return before, 200
    if body.get("location") not in REGIONS:
        raise invalid(f"there is no location {body.get('location')}")
    _check_source(body.get("properties", {}).get("storageProfile", {}))
    return _begin(world, resource_id, body), 201


def patch(world: World, resource_id: str, body: Json) -> Version:
    """Change replicas, tags, or both."""
    found = _find(world, resource_id)
    _refuse_moving(found)
    if "tags" in body:
        tags.check(body["tags"])
        found.body["tags"] = body["tags"]
    if "publishingProfile" in body.get("properties", {}):
        _replicate(world, found, _targets({**body, "location": found.body["location"]}))
        _publish(found, body)
    return found


def delete(world: World, resource_id: str) -> Version:
    found = _find(world, resource_id)
    if found.body["properties"].get("safetyProfile", {}).get("blockDeletionBeforeEndOfLife"):
        end = found.body["properties"]["publishingProfile"].get("endOfLifeDate")
        if end is None or datetime.fromisoformat(end) > datetime.now(UTC):
            raise conflict(f"{found.body['name']} cannot be deleted before its end of life")
    found.provisioning, found.deleting_looks = "Deleting", world.settings.pending_reads
    return found


def operation(world: World, name: str) -> Json:
    """What became of a request; each look brings it on as well."""
    for found in list(world.versions.values()):
        if found.operation == name:
            advance(world, found)
            if found.provisioning in MOVING:
                return {"name": name, "status": "InProgress"}
            if found.provisioning == "Succeeded":
                return {"name": name, "status": "Succeeded"}
            failed = ", ".join(region for region, replica in found.replicas.items() if replica.state == "Failed")
            error = {"code": "ReplicationJobFailed", "message": f"The replication job failed in {failed}."}
            return {"name": name, "status": "Failed", "error": error}
    return {"name": name, "status": "Succeeded"}  # of a version that is gone


def advance(world: World, found: Version) -> None:
    """One look later. The first replica is the source of the others; a look after the last, the version is settled."""
    if found.provisioning == "Deleting":
        found.deleting_looks -= 1
        if found.deleting_looks < 0:
            del world.versions[found.body["id"].lower()]
        return
    before = {replica.state for replica in found.replicas.values()}
    home = found.replicas[found.body["location"]]
    for region, replica in found.replicas.items():
        if replica.state == "Replicating":
            replica.looks -= 1
            if home.state == "Failed":
                replica.state = "Failed"
            elif replica.looks < 0:
                replica.state = "Failed" if region in world.settings.failing else "Completed"
    if "Replicating" not in before:
        found.provisioning = "Failed" if "Failed" in before else "Succeeded"


def hurry(world: World) -> None:
    """What is on its way ends at the next look."""
    for found in world.versions.values():
        for replica in found.replicas.values():
            replica.looks = min(replica.looks, 0)


def _find(world: World, resource_id: str) -> Version:
    found = world.versions.get(resource_id.lower())
    if found is None:
        raise missing(resource_id)
    return found


def _begin(world: World, resource_id: str, body: Json) -> Version:
    found = Version(
        body={
            "id": resource_id,
            "name": resource_id.rpartition("/")[2],
            "type": "Microsoft.Compute/galleries/images/versions",
            "location": body["location"],
            "tags": body.get("tags", {}),
            "properties": {"storageProfile": body["properties"]["storageProfile"]},
        },
        replicas={},
        provisioning="Creating",
        operation="",
        content=disks.read_source(body["properties"]["storageProfile"]["osDiskImage"]["source"]["uri"]),
    )
    _replicate(world, found, _targets(body))
    _publish(found, body)
    found.provisioning = "Creating"
    world.versions[resource_id.lower()] = found
    return found


def _replicate(world: World, found: Version, targets: list[Json]) -> None:
    """Start what is new or failed, drop what is not named any more."""
    kept = {region: replica for region, replica in found.replicas.items() if replica.state == "Completed"}
    looks = world.settings.pending_reads
    found.replicas = {
        target["name"]: kept.get(target["name"])
        or Replica(looks if target["name"] == found.body["location"] else 2 * looks)
        for target in targets
    }
    shown = [{**target, "name": REGIONS[target["name"]]} for target in targets]
    before = found.body["properties"].get("publishingProfile", {})
    published = before.get("publishedDate") or datetime.now(UTC).isoformat()
    found.body["properties"]["publishingProfile"] = {"targetRegions": shown, "publishedDate": published}
    found.provisioning, found.operation = "Updating", str(uuid.uuid4())


def _publish(found: Version, body: Json) -> None:
    """Set the rest of the publishing profile, and the safety profile, to what the request says of them."""
    properties = body["properties"]
    profile = properties["publishingProfile"]
    if not isinstance(profile.get("excludeFromLatest", False), bool):
        raise invalid("excludeFromLatest is true or false")
    if end := profile.get("endOfLifeDate"):
        try:
            datetime.fromisoformat(end)
        except ValueError as error:
            raise invalid(f"endOfLifeDate is a time in ISO 8601: {end}") from error
    shown = {name: profile[name] for name in ("excludeFromLatest", "endOfLifeDate") if name in profile}
    found.body["properties"]["publishingProfile"] |= {"excludeFromLatest": False, **shown}
    if "safetyProfile" in properties:
        found.body["properties"]["safetyProfile"] = properties["safetyProfile"]


def _targets(body: Json) -> list[Json]:
    """The target regions by name; refuses what Azure would."""
    given = body.get("properties", {}).get("publishingProfile", {}).get("targetRegions") or []
    targets = [{**target, "name": target.get("name", "").replace(" ", "").lower()} for target in given]
    names = [target["name"] for target in targets]
    if unknown := [name for name in names if name not in REGIONS]:
        raise invalid(f"there is no region {', '.join(unknown)}")
    if len(set(names)) < len(names):
        raise invalid("a target region is named twice")
    if body["location"] not in names:
        raise invalid(f"the target regions have to include the location of the version, {body['location']}")
    for target in targets:
        if not 1 <= target.get("regionalReplicaCount", 1) <= MOST_REPLICAS:
            raise invalid("regionalReplicaCount is 1 to 100")
        if target.get("storageAccountType", "Standard_LRS") not in STORAGE_TYPES:
            raise invalid(f"storageAccountType is one of {STORAGE_TYPES}")
    if sum(target.get("regionalReplicaCount", 1) for target in targets) > MOST_REPLICAS:
        raise invalid(f"a version has at most {MOST_REPLICAS} replicas")
    return targets


def _check_source(profile: Json) -> None:
    """A VHD by its URL and its storage account, which have to agree."""
    source = profile.get("osDiskImage", {}).get("source", {})
    uri, account = source.get("uri", ""), source.get("storageAccountId", "")
    if not uri or not account:
        raise invalid("the stand-in makes versions of VHDs: uri and storageAccountId are both needed")
    if account.lower() != storage_id(STORAGE_ACCOUNT).lower():
        raise missing(account)
    if urlsplit(uri).scheme != "https" or not urlsplit(uri).path.endswith(".vhd"):
        raise invalid(f"not the URL of a VHD: {uri}")
    if STORAGE_ACCOUNT not in (urlsplit(uri).netloc.partition(".")[0], urlsplit(uri).path.split("/")[1]):
        raise invalid(f"{uri} is not in the storage account {account}")


def _refuse_moving(found: Version) -> None:
    if found.provisioning in MOVING:
        raise conflict(f"{found.body['name']} is {found.provisioning}: the request conflicts with one in progress")


def _refuse_change(before: Version, body: Json) -> None:
    _refuse_moving(before)
    if body.get("location") != before.body["location"]:
        raise unchangeable("location")
    if body.get("properties", {}).get("storageProfile") != before.body["properties"]["storageProfile"]:
        raise unchangeable("galleryImageVersion.properties.storageProfile")


def _shown(found: Version, *, replication: bool) -> Json:
    properties = {**found.body["properties"], "provisioningState": found.provisioning}
    if replication:
        properties["replicationStatus"] = _status(found)
    return {**found.body, "properties": properties}


def _status(found: Version) -> Json:
    states = {replica.state for replica in found.replicas.values()}
    whole = "InProgress" if "Replicating" in states else "Failed" if "Failed" in states else "Completed"
    return {
        "aggregatedState": whole,
        "summary": [
            {
                "region": REGIONS[region],
                "state": replica.state,
                "progress": 100 if replica.state == "Completed" else 50 if replica.state == "Replicating" else 0,
                "details": "The replication job failed." if replica.state == "Failed" else "",
            }
            for region, replica in found.replicas.items()
        ],
    }
