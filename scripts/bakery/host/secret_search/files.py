"""Searches files that others may read: documents are refused, logs are redacted elsewhere."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from bakery.host.errors import BakeryError
from bakery.host.secret_search.matcher import Matcher

SHORTEST = 8  # characters; shorter values occur everywhere by chance


@lru_cache(maxsize=4)
def cached_matcher(values: tuple[str, ...]) -> Matcher:
    """The same matcher for the same values: making one takes about 50 ms per value."""
    return Matcher(values)


def refuse_secrets(paths: Iterable[Path], secrets: Iterable[str]) -> None:
    """BakeryError with the file and the form, never the value, if a file has one of the values."""
    values = searchable(secrets)
    if not values:
        return
    for path in paths:
        hits = cached_matcher(values).find(path.read_bytes(), set())
        if hits:
            raise BakeryError(
                f"{path.name} has a secret of the bake in {hits[0].form}",
                where=str(path),
                hint="a role, a package or the definition gave it away: fix that, change the secret, and bake again",
            )


def searchable(secrets: Iterable[str]) -> tuple[str, ...]:
    """The values that are long enough to search for, each once."""
    values: Sequence[str] = sorted({secret.strip() for secret in secrets})
    return tuple(value for value in values if len(value) >= SHORTEST)
