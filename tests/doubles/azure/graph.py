"""Microsoft Graph, as far as Vault's Azure engine goes: the application and its passwords."""

import gzip
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from werkzeug import Request

from doubles.azure import tokens
from doubles.azure.refusal import Refusal
from doubles.azure.world import APPLICATION, CLIENT_ID, VAULT_ID, Json, Password, World


def check(request: Request, application: str) -> None:
    """A token for Graph, of an application that may change the one that is asked for, which exists."""
    claims = tokens.check(request.headers.get("Authorization", ""), tokens.GRAPH)
    if claims["appid"] != VAULT_ID:
        raise Refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    if application != APPLICATION:
        raise Refusal(404, "Request_ResourceNotFound", f"Resource '{application}' does not exist.")


def body(request: Request) -> Json:
    """The JSON of a request, which Graph's own SDK packs."""
    data = request.get_data()
    found: Json = json.loads(gzip.decompress(data) if request.headers.get("Content-Encoding") == "gzip" else data)
    return found


def get(world: World) -> Json:
    passwords = [_shown(key, password) for key, password in world.passwords.items()]
    return {"id": APPLICATION, "appId": CLIENT_ID, "passwordCredentials": passwords}


def add_password(world: World, asked: Json) -> Json:
    """Graph makes the password, and tells it this once."""
    wanted: dict[str, Any] = asked["passwordCredential"]
    ends = datetime.fromisoformat(wanted["endDateTime"])
    if ends <= datetime.now(UTC):
        raise Refusal(400, "Request_BadRequest", "The end of a password lies in the future.")
    key = str(uuid.uuid4())
    password = world.passwords[key] = Password(f"canary-{uuid.uuid4()}", ends, wanted.get("displayName", ""))
    return {**_shown(key, password), "secretText": password.secret}


def remove_password(world: World, asked: Json) -> None:
    if world.passwords.pop(asked["keyId"], None) is None:
        raise Refusal(400, "Request_BadRequest", f"No password credential found with keyId {asked['keyId']}.")


def _shown(key: str, password: Password) -> Json:
    return {"keyId": key, "displayName": password.name, "endDateTime": password.ends.isoformat()}
