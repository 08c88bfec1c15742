"""DSSE envelopes: a statement with the signature of a key (Dead Simple Signing Envelope v1)."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakery.host.errors import BakeryError
from bakery.signing.keys import Duty
from bakery.signing.statement import PAYLOAD, Statement

if TYPE_CHECKING:  # the library imports the SDKs of clouds, which takes half a second; most verbs sign nothing
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Key, Signer


def sign(statement: Statement, signer: "Signer") -> bytes:
    """The envelope of a statement as JSON."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(statement.dump(), PAYLOAD, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=2).encode() + b"\n"


def verify(content: bytes, keys: Sequence["Key"], duty: Duty, where: str) -> Statement:
    """The statement of an envelope that one of the `keys` of a duty signed; BakeryError if none of them did.

    Errors call the envelope `where`.
    """
    from securesystemslib.exceptions import VerificationError

    envelope = _parse_envelope(content, where)
    if envelope.payload_type != PAYLOAD:
        raise BakeryError("it signs no in-toto statement", where=where, detail=f"its type is {envelope.payload_type}")
    try:
        if not keys:
            raise VerificationError("no key is trusted")
        envelope.verify(list(keys), threshold=1)
    except VerificationError as error:
        raise BakeryError(
            f"no trusted key of the duty '{duty}' signed it",
            where=where,
            detail=f"signed by {', '.join(sorted(envelope.signatures)) or 'nobody'}\n"
            f"trusted   {', '.join(sorted(key.keyid for key in keys)) or 'nobody'}",
            hint="if another workspace made it, trust its keys: 'bakery keys' there, BAKERY_TRUSTED_KEYS here; "
            "otherwise bake a new version",
        ) from error
    return Statement.parse(envelope.payload, where)


def _parse_envelope(content: bytes, where: str) -> "Envelope":
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    try:
        return Envelope.from_dict(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, Error) as error:  # the library checks no types
        raise BakeryError("it is not a DSSE envelope", where=where, detail=str(error)) from error
