"""Loads provider bindings piece by piece: a synth takes 1 CPU second instead of 12.

The prebuilt AWS package imports its 2,135 modules at once, in Python and again in Node. Here its root module is
registered without being run, and Node gets a hook that turns the package's exports into getters. Both know the layout
of the pinned versions; `BAKERY_EAGER_BINDINGS=1` leaves everything as shipped, with the same output.
"""

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

PROVIDERS = tuple(f"cdktf_cdktf_provider_{name}" for name in ("aws", "azurerm", "vault", "vsphere"))
HOOK = Path(__file__).with_name("lazy.cjs")


def install() -> None:
    """Call before the first import of cdktf: that import starts Node, which reads its options only then."""
    if os.environ.get("BAKERY_EAGER_BINDINGS") == "1":
        return
    for name in PROVIDERS:
        _register_unexecuted(name)
    os.environ["NODE_OPTIONS"] = with_hook(os.environ.get("NODE_OPTIONS", ""), HOOK)


def with_hook(options: str, hook: Path) -> str:
    """NODE_OPTIONS that preload `hook` besides what is there; its quoting is Node's own (backslash escapes)."""
    escaped = str(hook).replace("\\", "\\\\").replace('"', '\\"')
    preload = f'--require "{escaped}"'
    return options if preload in options else f"{options} {preload}".lstrip()


def _register_unexecuted(name: str) -> None:
    """Python then finds submodules by the package's path, and never runs its root."""
    spec = importlib.machinery.PathFinder.find_spec(name)
    if spec is not None and name not in sys.modules:
        sys.modules[name] = importlib.util.module_from_spec(spec)
