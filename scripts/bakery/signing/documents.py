"""Documents of a version with the envelope that signs them beside them: `verdict.json` and `verdict.dsse.json`.

The statement's subject is the disk, its predicate the whole document, so the envelope alone is enough for other tools.
"""

import json
from pathlib import Path
from typing import Protocol

from bakery.host import files
from bakery.host.errors import BakeryError, NotFoundError
from bakery.model import documents
from bakery.model.documents import Part
from bakery.model.naming import full_name
from bakery.signing.keyring import Keyring
from bakery.signing.keys import Duty
from bakery.signing.statement import Statement, Subject


class Document(Protocol):
    """A document with a schema such as `bakery/verdict/1`."""

    @property
    def schema(self) -> str: ...


def envelope_path(document: Path) -> Path:
    """The file of the envelope of a document's file."""
    return document.with_suffix(".dsse.json")


def describe(document: Document, part: Part) -> Statement:
    """The statement that a document of a part makes."""
    return make_statement(document, full_name(part), part.identity)


def make_statement(document: Document, name: str, sha256: str) -> Statement:
    """The statement of a whole document about the bytes with a name and a digest."""
    return Statement(
        subject=(Subject(name=name, digest={"sha256": sha256}),),
        predicate_type=predicate_type(document),
        predicate=json.loads(documents.dump(document)),
    )


def predicate_type(document: Document) -> str:
    """The kind of a statement that has a document as its predicate."""
    _, kind, number = document.schema.split("/")
    return f"urn:image-bakery:{kind}:{number}"


def save_signed(document: Document, part: Part, path: Path, keyring: Keyring, duty: Duty) -> None:
    """Write a document of a part and its envelope. A run that is killed in between leaves a pair that does not fit."""
    files.write_atomic(envelope_path(path), keyring.sign(describe(document, part), duty))
    documents.save(document, path)


def verify_document(document: Document, part: Part, path: Path, keyring: Keyring, duty: Duty) -> None:
    """BakeryError unless the envelope beside `path` signs this document of this part, with a key of the duty."""
    envelope = envelope_path(path)
    try:
        content = envelope.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path.name} is not signed", where=str(envelope)) from error
    signed, expected = keyring.verify(content, duty, str(envelope)), describe(document, part)
    differences = {
        "kind": signed.predicate_type != expected.predicate_type,
        "disk": signed.subject != expected.subject,
        "content": signed.predicate != expected.predicate,
    }
    if any(differences.values()):
        raise BakeryError(
            f"{path.name} is not the document that was signed",
            where=str(path),
            detail=f"different: {', '.join(name for name, differs in differences.items() if differs)}",
        )
