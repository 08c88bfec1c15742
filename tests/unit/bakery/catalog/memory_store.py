"""A store that a test can look into, and take objects out of."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bakery.host.errors import BakeryError, NotFoundError


@dataclass
class MemoryStore:
    """A store in memory that notes each request. One thread uses it at a time."""

    objects: dict[str, bytes] = field(default_factory=dict)
    location: str = "memory"
    requests: list[str] = field(default_factory=list)
    refused: str = "-"  # beginning of the keys that nobody may write

    def list(self, prefix: str) -> list[str]:
        self.requests.append(f"list {prefix}")
        start = f"{prefix}/"
        return sorted({key.removeprefix(start).split("/")[0] for key in self.objects if key.startswith(start)})

    def read(self, key: str) -> bytes:
        self.requests.append(f"read {key}")
        if key not in self.objects:
            raise NotFoundError("not in the catalog", where=key)
        return self.objects[key]

    def create(self, key: str, data: bytes) -> bool:
        self.requests.append(f"create {key}")
        if key.startswith(self.refused):
            raise BakeryError("no access to the catalog", where=key)
        return self.objects.setdefault(key, data) is data

    def lose(self, is_lost: Callable[[str], bool]) -> None:
        """Delete objects by their keys."""
        self.objects = {key: data for key, data in self.objects.items() if not is_lost(key)}
