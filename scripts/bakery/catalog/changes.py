"""Announcements: which document a writer is about to create, so that a reader of the heads knows what they lack.

An announcement is an empty object in the folder of a generation, named after the key of the document. Generations have
numbers. There are two rules:

 1. A writer announces in the newest generation, and looks again which is the newest. If another one has begun, it
    announces there as well, and looks again. Only then does it create the document.
 2. A reader that needs all announcements before a generation begins it first, and lists the earlier ones after that.

The last generation in which a writer announced was therefore still the newest one after that. If the next one begins
later, its beginner sees the announcement. No clock is involved: a writer may sleep between two requests for as long as
it likes.
"""

import re

from bakery.catalog.keys import CHANGES, announced_key, announcement_name
from bakery.catalog.store import Store, read_all
from bakery.host.errors import BakeryError

GENERATION = re.compile(r"^\d{6}$")
LAST = 999_999
BEGUN = "begun"  # an object that each generation has, except 0: without it, the folder was lost


class Changes:
    """The announcements of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: int | None = None  # the newest generation some time ago, which saves one request in three

    def announce(self, key: str) -> None:
        """Announce the document of a key. Call it before the document is created."""
        generation = self._newest_generation() if self._seen is None else self._seen
        while True:
            self._store.create(f"{_folder(generation)}/{announcement_name(key)}", b"")
            newest = self._seen = self._newest_generation()
            if newest == generation:
                return
            generation = newest

    def begin_generation(self, after: int) -> int:
        """Begin a generation with a higher number than all others and `after`; its number.

        BakeryError if there is none: somebody wrote the last number by hand.
        """
        number = max(self._newest_generation(), after) + 1
        if number > LAST:
            raise BakeryError("the numbers of generations are used up", where=f"{self._store.location}/{CHANGES}")
        self._store.create(f"{_folder(number)}/{BEGUN}", b"")  # another run may begin it, too
        return number

    def keys_since(self, generation: int) -> set[str] | None:
        """The keys that were announced in a generation or a later one; None if that generation was lost.

        Generation 0 cannot be lost: a writer that finds no generation makes it.
        """
        generations = sorted({number for number in self._generations() if number >= generation} | {generation})
        names = read_all(generations, lambda number: self._store.list(_folder(number)))
        if generation and BEGUN not in names[0]:
            return None
        return {key for listed in names for name in listed if (key := announced_key(name))}

    def _newest_generation(self) -> int:
        return max(self._generations(), default=0)

    def _generations(self) -> list[int]:
        return [int(name) for name in self._store.list(CHANGES) if GENERATION.match(name)]


def _folder(generation: int) -> str:
    return f"{CHANGES}/{generation:06d}"
