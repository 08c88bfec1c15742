"""Signatures of the catalog: records, channels and snapshots are in envelopes, which the writer's duty signs."""

import hashlib
import json
from functools import cached_property
from typing import TypeVar

from bakery.catalog.keys import document_key
from bakery.catalog.record import ChannelEntry, Move, Record, Snapshot
from bakery.host.errors import BakeryError
from bakery.model.documents import dump, parse
from bakery.signing import Duty, Keyring, Statement, TrustedKeys, make_statement, predicate_type, verify

Signed = TypeVar("Signed", bound=Record | ChannelEntry | Move | Snapshot)
BAKERS: tuple[Duty, ...] = ("bake-private", "bake-public")  # they reserve versions, and write nothing else
PUBLISHERS: tuple[Duty, ...] = ("publish",)


class Signatures:
    """Signs and verifies the documents of one catalog. The trusted keys are read once, when they are first needed."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    @cached_property
    def _trusted(self) -> TrustedKeys:
        return self._keyring.trusted_keys(*BAKERS, *PUBLISHERS)

    def require_publisher(self) -> None:
        """BakeryError unless this run can sign a channel entry."""
        self._keyring.require_signer("publish")

    def sign(self, document: Record | ChannelEntry | Move | Snapshot, duty: Duty) -> bytes:
        """The envelope of a document, whose statement is about the bytes of the document and has all of it."""
        digest = hashlib.sha256(dump(document)).hexdigest()
        return self._keyring.sign(make_statement(document, document_key(document), digest), duty)

    def verify(self, kind: type[Signed], content: bytes, where: str, repair: str) -> Signed:
        """The document in an envelope; BakeryError unless a duty signed it that may write such a document.

        `repair` is what a reader can do about a document that is damaged or not signed.
        """
        try:
            statement, refusal = self._open(content, where)
            document = parse(kind, json.dumps(statement.predicate).encode(), where, repair)
            if refusal and not (isinstance(document, Record) and document.state == "reserved"):
                raise refusal
            _refuse_other(statement, document, where)
        except BakeryError as error:
            error.hint = error.hint or repair
            raise
        return document

    def _open(self, content: bytes, where: str) -> tuple[Statement, BakeryError | None]:
        """The statement in an envelope, and the refusal of `publish` if only a bake signed it.

        `publish` comes first: it signed nearly all documents, a plan reads thousands, and each comparison with a key
        takes 0.2 ms.
        """
        try:
            return verify(content, self._trusted, PUBLISHERS, where), None
        except BakeryError as refusal:
            return verify(content, self._trusted, (*BAKERS, *PUBLISHERS), where), refusal


def _refuse_other(statement: Statement, document: Record | ChannelEntry | Move | Snapshot, where: str) -> None:
    """Raise BakeryError if a statement of another kind, or about another key, has this document in it.

    The digest in it is for other tools: read by a newer release, a document may have more fields.
    """
    names = [subject.name for subject in statement.subject]
    if statement.predicate_type != predicate_type(document) or names != [document_key(document)]:
        raise BakeryError("the signed statement is not about this document", where=where)
