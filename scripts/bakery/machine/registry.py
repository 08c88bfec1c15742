"""Reads a hive of the registry of Windows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.host.errors import BakeryError

if TYPE_CHECKING:  # the import takes 60 ms, and every verb would wait for it
    from regipy.registry import NKRecord

# https://github.com/msuhanov/regf: a file begins with one block, and the first bin comes after it.
SIGNATURE, BIN_SIGNATURE, BLOCK = b"regf", b"hbin", 4096


class Hive:
    """A hive in a file. Paths are separated by backslashes and have no root in front; case does not matter."""

    def __init__(self, path: Path) -> None:
        """BakeryError if the file is not a hive."""
        from regipy.registry import RegistryHive

        with path.open("rb") as stream:
            head = stream.read(BLOCK + len(BIN_SIGNATURE))
        if not head.startswith(SIGNATURE) or head[BLOCK:] != BIN_SIGNATURE:
            raise BakeryError("the file is not a registry hive", where=str(path))
        self._hive = RegistryHive(str(path))

    def list_keys(self, path: str) -> list[str]:
        """The names of the keys below a key; none if it does not exist."""
        key = self._find(path)
        return [subkey.name for subkey in key.iter_subkeys()] if key else []

    def read_values(self, path: str) -> Mapping[str, object]:
        """The values of a key by their names in lower case; none if it does not exist."""
        key = self._find(path)
        values = key.iter_values(trim_values=False) if key else ()
        return {value.name.lower(): value.value for value in values}

    def _find(self, path: str) -> "NKRecord | None":
        from regipy.exceptions import RegistryKeyNotFoundException

        try:
            key: NKRecord = self._hive.get_key(f"\\{path}")
            return key
        except RegistryKeyNotFoundException:
            return None
