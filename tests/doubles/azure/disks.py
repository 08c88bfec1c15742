"""Managed disks made of gallery versions, with the bytes of their VHD, and exports of them by a SAS."""

import secrets
import ssl
import urllib.request
from urllib.parse import urlsplit

from werkzeug import Request, Response

from doubles.azure import tokens
from doubles.azure.refusal import Refusal, conflict, invalid, missing
from doubles.azure.world import REGIONS, Json, ManagedDisk, World

EXPORTS = "/exports/disks/"
PAGE = 512  # bytes of a page blob's page
LONGEST = 2**32 - 1  # seconds of a grant
STORAGE = {"x-ms-version": "2021-12-02"}


def read_source(uri: str) -> bytes:
    """The VHD that a version is made of, from Azurite; empty where no Azurite runs."""
    if urlsplit(uri).hostname != "127.0.0.1":
        return b""
    token = tokens.sign("https://storage.azure.com")
    request = urllib.request.Request(uri, headers={"Authorization": f"Bearer {token}", **STORAGE})
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # our own Azurite, on loopback
    try:
        with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
            content: bytes = answer.read()
            return content
    except OSError:
        return b""


def put(world: World, resource_id: str, body: Json) -> Json:
    """A new disk of a version's replica in its region."""
    creation = body.get("properties", {}).get("creationData", {})
    source = creation.get("galleryImageReference", {}).get("id", "")
    if body.get("location") not in REGIONS:
        raise invalid(f"there is no location {body.get('location')}")
    if creation.get("createOption") != "FromImage" or not source:
        raise invalid("the stand-in makes disks of gallery versions: createOption FromImage, galleryImageReference")
    version = world.versions.get(source.lower())
    if version is None:
        raise missing(source)
    replica = version.replicas.get(body["location"])
    if replica is None or replica.state != "Completed":
        raise invalid(f"the version has no replica in {body['location']}")
    if resource_id.lower() in world.disks:
        raise conflict(f"the disk {resource_id} exists")
    world.disks[resource_id.lower()] = ManagedDisk(version.content)
    properties = {**body["properties"], "provisioningState": "Succeeded", "diskState": "Unattached"}
    return {**body, "id": resource_id, "name": resource_id.rpartition("/")[2], "properties": properties}


def grant(world: World, resource_id: str, body: Json, host: str) -> Json:
    """A URL that reads the disk until access is revoked."""
    disk = _find(world, resource_id)
    if body.get("access") != "Read" or not 0 < body.get("durationInSeconds", 0) <= LONGEST:
        raise invalid("access is Read, durationInSeconds a positive 32-bit integer")
    if disk.signature:
        raise conflict("the disk has an active SAS")
    disk.signature = secrets.token_hex(16)
    return {"accessSAS": f"{host}{EXPORTS.lstrip('/')}{resource_id.rpartition('/')[2]}?sr=b&sig={disk.signature}"}


def revoke(world: World, resource_id: str) -> None:
    _find(world, resource_id).signature = ""


def delete(world: World, resource_id: str) -> None:
    if _find(world, resource_id).signature:
        raise conflict("the disk has an active SAS: revoke it first")
    del world.disks[resource_id.lower()]


def export(world: World, request: Request) -> Response:
    """Properties, page ranges or bytes of an export, as Blob Storage answers."""
    name = request.path.removeprefix(EXPORTS)
    disk = next((disk for key, disk in world.disks.items() if key.endswith(f"/disks/{name}")), None)
    if disk is None or not disk.signature or request.args.get("sig") != disk.signature:
        return Response(status=403, headers={"x-ms-error-code": "AuthenticationFailed"})
    if request.method == "HEAD":
        headers = {"Content-Length": str(len(disk.content)), "x-ms-blob-type": "PageBlob"}
        return Response(status=200, headers=headers)
    if request.args.get("comp") == "pagelist":
        return Response(_page_list(disk.content), mimetype="application/xml")
    unit, _, asked = request.headers.get("x-ms-range", request.headers.get("Range", "")).partition("=")
    if unit != "bytes":
        raise Refusal(400, "InvalidHeaderValue", "the stand-in reads ranges")
    first, last = map(int, asked.split("-"))
    content = disk.content[first : last + 1]
    span = f"bytes {first}-{first + len(content) - 1}/{len(disk.content)}"
    return Response(content, status=206, headers={"Content-Range": span, "x-ms-blob-type": "PageBlob"})


def _page_list(content: bytes) -> str:
    """The ranges of pages that are not zeros."""
    ranges: list[list[int]] = []
    for start in range(0, len(content), PAGE):
        if content[start : start + PAGE].count(0) == PAGE:
            continue
        if ranges and ranges[-1][1] == start - 1:
            ranges[-1][1] = start + PAGE - 1
        else:
            ranges.append([start, start + PAGE - 1])
    pages = "".join(f"<PageRange><Start>{first}</Start><End>{last}</End></PageRange>" for first, last in ranges)
    return f'<?xml version="1.0" encoding="utf-8"?><PageList>{pages}</PageList>'


def _find(world: World, resource_id: str) -> ManagedDisk:
    disk = world.disks.get(resource_id.lower())
    if disk is None:
        raise missing(resource_id)
    return disk
