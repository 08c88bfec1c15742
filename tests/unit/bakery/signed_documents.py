"""Documents of a catalog in their envelopes, as somebody with a key could change them."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bakery.signing import Duty, Keyring, Statement, Subject


def seal(keyring: Keyring, document: Mapping[str, Any], duty: Duty = "publish") -> bytes:
    """An envelope around any JSON document, with the statement that the catalog makes of a record or an entry."""
    kind, number = str(document.get("schema", "/record/1")).split("/")[1:]
    content = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    subject = Subject(name=_key_of(document), digest={"sha256": hashlib.sha256(content).hexdigest()})
    statement = Statement(
        subject=(subject,), predicate_type=f"urn:image-bakery:{kind}:{number}", predicate=dict(document)
    )
    return keyring.sign(statement, duty)


def _key_of(document: Mapping[str, Any]) -> str:
    image = f"images/{document.get('image')}/{document.get('arch')}"
    if "channel" in document:
        return f"{image}/channels/{document['channel']}/{document['number']:06d}.json"
    return f"{image}/versions/{document.get('version')}/{document.get('revision', 0):06d}.json"


def unseal(envelope: bytes) -> dict[str, Any]:
    """The JSON document in an envelope, which is not verified."""
    document: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]
    return document
