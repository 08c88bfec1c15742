"""The payload of an envelope whose signature nobody has checked, such as one that is only shown."""

import base64
import binascii
import json
from typing import Any

from bakery.host.errors import BakeryError
from bakery.provenance.predicate import PREDICATE_TYPE


def read_payload(envelope: bytes, where: str) -> dict[str, Any]:
    """The statement in a DSSE envelope (secure-systems-lab/dsse, envelope.md); BakeryError if there is none."""
    try:
        statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"], validate=True))
        if statement["predicateType"] == PREDICATE_TYPE:
            return statement
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise BakeryError("it is not an envelope with a statement", where=where, detail=str(error)) from error
    raise BakeryError("the statement is not about provenance", where=where, detail=str(statement["predicateType"]))
