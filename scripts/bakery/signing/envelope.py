"""DSSE envelopes: a statement with the signature of a key (Dead Simple Signing Envelope v1).

`securesystemslib` writes them. They are verified here, with `cryptography` alone: every verb that reads a catalog does
it, and the library takes half a second to import, because it loads the SDKs of clouds.
"""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Base64Bytes, BaseModel, Field, ValidationError

from bakery.host.errors import BakeryError
from bakery.signing.keys import Duty, TrustedKeys
from bakery.signing.statement import PAYLOAD, Statement

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.signer import Signer


KEY_ID = re.compile(r"^[A-Za-z0-9+/]{43}=$")  # 32 bytes in base64


class _Signature(BaseModel):
    key_id: str = Field(default="", alias="keyid")  # for people: DSSE says that nothing may rely on it
    bytes: Base64Bytes = Field(alias="sig")


class _Envelope(BaseModel):
    payload: Base64Bytes
    payload_type: str = Field(alias="payloadType")
    signatures: tuple[_Signature, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that are signed (PAE in the specification)."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)


def sign(statement: Statement, signer: "Signer") -> bytes:
    """The envelope of a statement as JSON."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(statement.dump(), PAYLOAD, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=2).encode() + b"\n"


def verify(content: bytes, trusted: TrustedKeys, duties: Sequence[Duty], where: str) -> Statement:
    """The statement of an envelope that a trusted key of one of the duties signed; BakeryError if none of them did.

    Errors call the envelope `where`.
    """
    envelope = _parse_envelope(content, where)
    if envelope.payload_type != PAYLOAD:
        raise BakeryError("it signs no in-toto statement", where=where, detail=f"its type is {envelope.payload_type}")
    keys = trusted.of(*duties)
    if not any(_has_signed(key, envelope, signature) for signature in envelope.signatures for key in keys.values()):
        named = " or ".join(duties)
        # Whoever wrote the envelope chose the IDs; those of the bakery's keys are printable as they are.
        signers = ", ".join(
            sorted(signature.key_id for signature in envelope.signatures if KEY_ID.match(signature.key_id))
        )
        if keys.keys() & {signature.key_id for signature in envelope.signatures}:
            raise BakeryError(
                f"it is signed by no trusted key of the duty {named}",
                where=where,
                detail=f"it names the trusted key {signers}, but its content changed after it was signed",
            )
        raise BakeryError(
            f"it is signed by no trusted key of the duty {named}",
            where=where,
            detail=f"signed with {signers or 'no key'}\ntrusted     {', '.join(sorted(keys)) or 'no key'}",
            hint="if another workspace made it, trust its keys: 'bakery keys' there, BAKERY_TRUSTED_KEYS here",
        )
    return Statement.parse(envelope.payload, where)


def _has_signed(key: "Ed25519PublicKey", envelope: _Envelope, signature: _Signature) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature.bytes, envelope.signed)
    except InvalidSignature:
        return False
    return True


def _parse_envelope(content: bytes, where: str) -> _Envelope:
    try:
        return _Envelope.model_validate_json(content)
    except ValidationError as error:
        raise BakeryError("it is not a DSSE envelope", where=where, detail=error.errors()[0]["msg"]) from error
