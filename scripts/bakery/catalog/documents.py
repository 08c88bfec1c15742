"""Documents of a store: the one place that reads them, and the one that writes them."""

import hashlib
from typing import TypeVar

from bakery.catalog.changes import Changes
from bakery.catalog.index import Index
from bakery.catalog.keys import NUMBERED, Numbered, document_key
from bakery.catalog.record import ChannelEntry, Failure, Move, Record, Snapshot
from bakery.catalog.signatures import Signatures, Signed
from bakery.catalog.store import Store
from bakery.host.errors import BakeryError, ConflictError
from bakery.model.documents import dump, parse
from bakery.model.naming import full_name
from bakery.model.observations import Observations
from bakery.model.version import ImageVersion
from bakery.signing import Duty, Keyring

RESTORE = "restore this file of the catalog from a backup"
MOVED = f"it was changed or moved: {RESTORE}"
Unsigned = TypeVar("Unsigned", bound=Failure | Observations)
TRY_AGAIN = "run the same command again"
WRITE_TRIES = 20  # writers that may take a number before us in one call; more means something is wrong


class Documents:
    """The documents of one store and their index. Every method reads the current state; nothing is cached."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._signatures = Signatures(keyring)
        self.location = store.location
        self.index = Index(store)
        self.changes = Changes(store)

    def _numbered_names(self, folder: str) -> list[str]:
        """Names of the revisions or entries in a folder, oldest first."""
        return sorted(filter(NUMBERED.match, self._store.list(folder)))

    def _read_signed(self, kind: type[Signed], key: str) -> Signed:
        """The record or channel entry of a key; BakeryError if it is damaged, of another key or not signed."""
        return self._verify_signed(kind, key, self._store.read(key))

    def _verify_signed(self, kind: type[Signed], key: str, content: bytes) -> Signed:
        """The same for content that was read before."""
        where = f"{self.location}/{key}"
        document = self._signatures.verify(kind, content, where, RESTORE)
        _check_key(document, key, where)
        if isinstance(document, Record):
            _check_publications(document, where)
        return document

    def _read_unsigned(self, kind: type[Unsigned], key: str) -> Unsigned:
        """The document of a key; BakeryError if it is damaged or of another key."""
        where = f"{self.location}/{key}"
        document = parse(kind, self._store.read(key), where, RESTORE)
        _check_key(document, key, where)
        return document

    def _create_signed(self, document: Record | ChannelEntry | Move | Snapshot, duty: Duty) -> bool:
        """Write a signed document under its key; False, and nothing written, if the key is taken.

        All but a snapshot are announced before, so that no reader takes older heads for the present. Equal bytes there
        are our own: the answer to a write can be lost, and a library repeats the request.
        """
        key, envelope = document_key(document), self._signatures.sign(document, duty)
        if not isinstance(document, Snapshot):
            self.changes.announce(key)
        return self._store.create(key, envelope) or self._store.read(key) == envelope

    def _create_unsigned(self, document: Failure | Observations) -> bool:
        """Write a document under its key; False, and nothing written, if the key is taken."""
        return self._store.create(document_key(document), dump(document))

    def _publish_document(self, document: Record | ChannelEntry | Move, message: str) -> None:
        """Write a document that `publish` signs; ConflictError with `message` if another run was faster."""
        if not self._create_signed(document, "publish"):
            raise ConflictError(
                message,
                where=f"{self.location}/{document_key(document)}",
                hint="look at 'bakery catalog' and run again",
            )

    def _read_intact(self, key: str, sha256: str) -> bytes:
        data = self._store.read(key)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BakeryError(
                "the file does not have the digest that the record names",
                where=f"{self.location}/{key}",
                hint=f"it is damaged: {RESTORE}",
            )
        return data


def _check_key(document: Numbered, key: str, where: str) -> None:
    """Raise BakeryError if a document is of another key. After it, the fields are as good as the key."""
    if document_key(document) != key:
        raise BakeryError(f"the document belongs to {document_key(document)}", where=where, hint=MOVED)


def _check_publications(record: Record, where: str) -> None:
    """Raise BakeryError if a publication is of another version: targets name images and links by its fields."""
    version = ImageVersion.of(record)
    for publication in record.publications:
        if ImageVersion.of(publication) != version:
            what = f"the publication at {publication.target} belongs to {full_name(publication)}"
            raise BakeryError(what, where=where, hint=MOVED)
