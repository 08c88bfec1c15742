"""The server's WSGI application: note each call, apply faults, then answer as Azure would."""

import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException

from doubles.azure import disks, graph, groups, images, machines, market, tags, tokens, versions
from doubles.azure.faults import Faults, Rule, drop
from doubles.azure.refusal import Refusal, missing
from doubles.azure.world import SUBSCRIPTION, Json, Version, World

CONTROL = "/_double/"
API_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
GROUP = r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/[^/]+"
GALLERY = rf"(?P<gallery>{GROUP}/providers/Microsoft\.Compute/galleries/[^/]+)"
IMAGE = rf"(?P<image>{GALLERY}/images/[^/]+)"
VERSION = rf"(?P<version>{IMAGE}/versions/[^/]+)"
GROUPS = r"/subscriptions/(?P<subscription>[^/]+)/resourcegroups"
ONE_GROUP = rf"{GROUPS}/(?P<group>[^/]+)"
DISK = rf"(?P<disk>{GROUP}/providers/Microsoft\.Compute/disks/[^/]+)"
COMPUTE = r"/subscriptions/(?P<subscription>[^/]+)/providers/Microsoft\.Compute"
INSTANCES = rf"{GROUP}/providers/Microsoft\.Compute/virtualMachineScaleSets/(?P<set>[^/]+)/virtualMachines"
TAGS = r"(?P<scope>/subscriptions/(?P<subscription>[^/]+)/.+)/providers/Microsoft\.Resources/tags/default"
MARKET = (
    r"/subscriptions/(?P<subscription>[^/]+)/providers/Microsoft\.Compute/locations/(?P<location>[^/]+)"
    r"/publishers/(?P<publisher>[^/]+)/artifacttypes/vmimage/offers/(?P<offer>[^/]+)/skus/(?P<sku>[^/]+)/versions"
)
OPERATIONS = r"/subscriptions/(?P<subscription>[^/]+)/providers/Microsoft\.Compute/locations/[^/]+/capsOperations"
OPERATION = rf"{OPERATIONS}/(?P<name>[^/]+)"
LOGIN = r"/(?P<tenant>[^/]+)/oauth2/v2\.0/token"
DISCOVERY = r"/(?P<tenant>[^/]+)/v2\.0/\.well-known/openid-configuration"

CLOUDS = r"/common/discovery/instance"
APPLICATION = r"/v1\.0/applications/(?P<application>[^/]+)"

# The operations by the names of Azure's own API descriptions, which calls and fault rules use.
ROUTES = {
    ("POST", LOGIN): "Login",
    ("GET", DISCOVERY): "Discovery",
    ("GET", CLOUDS): "Clouds",
    ("GET", APPLICATION): "Applications_Get",
    ("POST", f"{APPLICATION}/addPassword"): "Applications_AddPassword",
    ("POST", f"{APPLICATION}/removePassword"): "Applications_RemovePassword",
    ("GET", GALLERY): "Galleries_Get",
    ("GET", IMAGE): "GalleryImages_Get",
    ("PUT", IMAGE): "GalleryImages_CreateOrUpdate",
    ("GET", f"{IMAGE}/versions"): "GalleryImageVersions_ListByGalleryImage",
    ("GET", GROUPS): "ResourceGroups_List",
    ("DELETE", ONE_GROUP): "ResourceGroups_Delete",
    ("GET", f"{ONE_GROUP}/resources"): "Resources_ListByResourceGroup",
    ("GET", VERSION): "GalleryImageVersions_Get",
    ("PUT", VERSION): "GalleryImageVersions_CreateOrUpdate",
    ("PATCH", VERSION): "GalleryImageVersions_Update",
    ("DELETE", VERSION): "GalleryImageVersions_Delete",
    ("PUT", DISK): "Disks_CreateOrUpdate",
    ("POST", f"{DISK}/beginGetAccess"): "Disks_GrantAccess",
    ("POST", f"{DISK}/endGetAccess"): "Disks_RevokeAccess",
    ("DELETE", DISK): "Disks_Delete",
    ("GET", OPERATION): "Operations_Get",
    ("GET", f"{COMPUTE}/virtualMachines"): "VirtualMachines_ListAll",
    ("GET", f"{COMPUTE}/virtualMachineScaleSets"): "VirtualMachineScaleSets_ListAll",
    ("GET", INSTANCES): "VirtualMachineScaleSetVMs_List",
    ("GET", MARKET): "VirtualMachineImages_List",
    ("GET", TAGS): "Tags_GetAtScope",
    ("PATCH", TAGS): "Tags_UpdateAtScope",
}

StartResponse = Callable[..., Any]


class StrictAzure:
    """Login and resource manager, and the control surface under `/_double/`."""

    def __init__(self) -> None:
        self._world = World()
        self._calls: list[str] = []
        self._faults = Faults()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        with self._lock:
            answer = self._control(request) if request.path.startswith(CONTROL) else self._serve(request)
        return answer(environ, start_response)

    def _serve(self, request: Request) -> Response:
        if request.path.startswith(disks.EXPORTS):
            return disks.export(self._world, request)
        operation, parts = _route(request)
        self._calls.append(operation)
        rule = self._faults.take(operation)
        if rule and rule.kind == "reset":
            drop(request.environ)
        try:
            if rule and rule.kind == "error":
                raise Refusal(rule.status, rule.error, "Asked for by a fault rule")
            answer = self._act(operation, parts, request)
        except Refusal as refusal:
            answer = _json(refusal.body, refusal.status)
        if rule and rule.kind == "after":
            drop(request.environ)
        return answer

    def _act(self, operation: str, parts: dict[str, str], request: Request) -> Response:
        match operation:
            case "Discovery":
                return _json(tokens.discovery(request.host_url.rstrip("/"), parts["tenant"]))
            case "Clouds":
                return _json(tokens.clouds())
            case "Login":
                return _json(tokens.issue(self._world, request.form))
        if "application" in parts:
            return self._graph(operation, parts["application"], request)
        _check(request, parts)
        body: Json = request.get_json(silent=True) or {}
        match operation:
            case "Galleries_Get":
                return _json(self._gallery(parts["gallery"]))
            case "GalleryImages_Get":
                return _json(images.get(self._world, parts["image"]))
            case "GalleryImages_CreateOrUpdate":
                return _json(*images.put(self._world, parts["gallery"], parts["image"], body))
            case "GalleryImageVersions_ListByGalleryImage":
                return _json({"value": versions.list_all(self._world, parts["image"])})
            case "ResourceGroups_List":
                return _json({"value": groups.list_all(self._world)})
            case "ResourceGroups_Delete":
                groups.delete(self._world, parts["group"])
                return Response(status=200)
            case "Resources_ListByResourceGroup":
                with_times = "createdTime" in request.args.get("$expand", "")
                return _json({"value": groups.list_content(self._world, parts["group"], with_times=with_times)})
            case "GalleryImageVersions_Get":
                expand = request.args.get("$expand") == "ReplicationStatus"
                return _json(versions.get(self._world, parts["version"], replication=expand))
            case "GalleryImageVersions_CreateOrUpdate":
                found, status = versions.put(self._world, parts["image"], parts["version"], body)
                return _started(request, found, status)
            case "GalleryImageVersions_Update":
                return _started(request, versions.patch(self._world, parts["version"], body), 200)
            case "GalleryImageVersions_Delete":
                return _started(request, versions.delete(self._world, parts["version"]), 202)
            case "Disks_CreateOrUpdate":
                return _json(disks.put(self._world, parts["disk"], body))
            case "Disks_GrantAccess":
                return _json(disks.grant(self._world, parts["disk"], body, request.host_url))
            case "Disks_RevokeAccess":
                disks.revoke(self._world, parts["disk"])
                return Response(status=200)
            case "Disks_Delete":
                disks.delete(self._world, parts["disk"])
                return Response(status=204)
            case "VirtualMachines_ListAll":
                return _json(machines.list_machines(self._world))
            case "VirtualMachineScaleSets_ListAll":
                return _json(machines.list_scale_sets(self._world))
            case "VirtualMachineScaleSetVMs_List":
                return _json(machines.list_machines(self._world, parts["set"]))
            case "VirtualMachineImages_List":
                return _json(market.list_versions(self._world, parts))
            case "Operations_Get":
                return _json(versions.operation(self._world, parts["name"]))
            case "Tags_GetAtScope":
                return _json(tags.read(self._world, parts["scope"]))
            case "Tags_UpdateAtScope":
                return _json(tags.update(self._world, parts["scope"], body))
        raise Refusal(501, "NotImplemented", f"The stand-in cannot do {request.method} {request.path}")

    def _graph(self, operation: str, application: str, request: Request) -> Response:
        graph.check(request, application)
        match operation:
            case "Applications_Get":
                return _json(graph.get(self._world))
            case "Applications_AddPassword":
                return _json(graph.add_password(self._world, graph.body(request)))
        graph.remove_password(self._world, graph.body(request))
        return Response(status=204)

    def _gallery(self, resource_id: str) -> Json:
        if resource_id.lower() not in self._world.galleries:
            raise missing(resource_id)
        return self._world.galleries[resource_id.lower()]

    def _control(self, request: Request) -> Response:
        try:
            match request.method, request.path.removeprefix(CONTROL):
                case "GET", "calls":
                    return _json(self._calls)
                case "POST", "faults":
                    self._faults.add([Rule(**rule) for rule in request.get_json(force=True)])
                case "DELETE", "faults":
                    self._faults.clear()
                case "POST", "settings":
                    self._world.settings = replace(self._world.settings, **request.get_json(force=True))
                case "POST", "market":
                    self._world.market |= {urn.lower(): names for urn, names in request.get_json(force=True).items()}
                case "POST", "groups":
                    groups.put(self._world, request.get_json(force=True))
                case "POST", "machines":
                    machines.put(self._world, request.get_json(force=True))
                case "POST", "hurry":
                    versions.hurry(self._world)
                case "POST", "reset":
                    self._world = World()
                    self._calls.clear()
                    self._faults.clear()
                case _:
                    return Response(f"no such control: {request.method} {request.path}\n", status=404)
        except (TypeError, ValueError, HTTPException) as error:
            return Response(f"{error}\n", status=400)
        return Response(status=204)


def _route(request: Request) -> tuple[str, dict[str, str]]:
    for (method, pattern), operation in ROUTES.items():
        match = re.fullmatch(pattern, request.path, re.IGNORECASE)
        if match and method == request.method:
            return operation, match.groupdict()
    return f"{request.method} {request.path}", {}


def _check(request: Request, parts: dict[str, str]) -> None:
    """What the resource manager asks of every request."""
    tokens.check(request.headers.get("Authorization", ""))
    version = request.args.get("api-version", "")
    if not version:
        raise Refusal(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
    if not API_VERSION.fullmatch(version):
        raise Refusal(400, "InvalidApiVersionParameter", f"The api-version {version!r} is invalid.")
    if parts.get("subscription", SUBSCRIPTION) != SUBSCRIPTION:
        raise Refusal(404, "SubscriptionNotFound", f"The subscription '{parts['subscription']}' could not be found.")


def _started(request: Request, found: Version, status: int) -> Response:
    """A request that Azure works on: where to ask, and the resource as it is by now."""
    shown = {**found.body, "properties": {**found.body["properties"], "provisioningState": found.provisioning}}
    answer = _json(shown, status) if status != 202 else Response(status=202)
    base = f"{request.host_url}subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute"
    where = f"{base}/locations/{found.body['location']}/capsOperations/{found.operation}"
    answer.headers["Azure-AsyncOperation"] = f"{where}?api-version={request.args['api-version']}"
    answer.headers["Retry-After"] = "1"
    return answer


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, mimetype="application/json")
