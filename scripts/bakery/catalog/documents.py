"""Documents of a store: the one place that reads them, and the one that writes them."""

import hashlib

from bakery.catalog.index import Index
from bakery.catalog.keys import NUMBERED
from bakery.catalog.store import Store
from bakery.host.errors import BakeryError
from bakery.model.documents import Document, parse

RESTORE = "restore this file of the catalog from a backup"
WRITE_TRIES = 20  # writers that may take a number before us in one call; more means something is wrong


class Documents:
    """The documents of one store and their index. Every method reads the current state; nothing is cached."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.location = store.location
        self.index = Index(store)

    def _numbered_names(self, folder: str) -> list[str]:
        """Names of the revisions or entries in a folder, oldest first."""
        return sorted(filter(NUMBERED.match, self._store.list(folder)))

    def _read_document(self, kind: type[Document], key: str) -> Document:
        return parse(kind, self._store.read(key), f"{self.location}/{key}", RESTORE)

    def _read_intact(self, key: str, sha256: str) -> bytes:
        data = self._store.read(key)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BakeryError(
                "the bytes are not those that the record names",
                where=f"{self.location}/{key}",
                hint=f"it is damaged: {RESTORE}",
            )
        return data
