"""Results that are slow to compute, kept in a JSON file. If it is missing or damaged, they are computed again."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError


class Cache:
    """Results by a key that changes whenever the result may. The file keeps those of one run, so it never grows."""

    def __init__(self, path: Path | None) -> None:
        """Without a path, nothing is saved."""
        self._path = path
        self._known = _load_entries(path)
        self._used: dict[str, str] = {}

    def get(self, key: str, compute: Callable[[], str]) -> str:
        """The saved result, or a new one."""
        if key not in self._used:
            self._used[key] = self._known[key] if key in self._known else compute()
        return self._used[key]

    def get_of_file(self, path: Path, label: str, compute: Callable[[], str]) -> str:
        """The saved result of a file's content, or a new one; `label` tells apart what was computed.

        As in git's index, a file that has just been changed is never trusted to be as it was.
        """
        stamp = files.read_stamp(path)
        if not stamp:
            return compute()
        return self.get(" ".join(map(str, (label, *stamp))), compute)

    def save(self) -> None:
        """Save the results that this run used. If that fails, the next run computes them again."""
        if self._path and self._used and self._used != self._known:
            with suppress(BakeryError):
                files.write_atomic(self._path, json.dumps(self._used).encode())


def _load_entries(path: Path | None) -> dict[str, str]:
    try:
        data = json.loads(path.read_bytes()) if path else {}
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}
