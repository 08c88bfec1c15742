"""Programs of others that the bakery is compared with, in a folder of the user's cache that is kept."""

import os
import shutil
from pathlib import Path

FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "image-bakery-bench"


def find(name: str) -> Path | None:
    """A program on PATH, or in the folder; None if it is in neither."""
    found = shutil.which(name) or shutil.which(name, path=str(FOLDER / "bin"))
    return Path(found) if found else None
