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

PROVIDERS = ("aws", "azurerm", "vault", "vsphere")
HOOK = Path(__file__).with_name("lazy.cjs")


def install() -> None:
    """Call this before the first import of cdktf: that import starts Node, which then reads its options."""
    if os.environ.get("BAKERY_EAGER_BINDINGS") == "1":
        return
    for provider in PROVIDERS:
        if bindings_package(provider) not in sys.modules:
            register_unexecuted(bindings_package(provider), bindings_package(provider))
    os.environ["NODE_OPTIONS"] = with_hook(os.environ.get("NODE_OPTIONS", ""), HOOK)


def with_hook(options: str, hook: Path) -> str:
    """NODE_OPTIONS with `hook` as one more module to preload, quoted as Node expects (backslash escapes)."""
    escaped = str(hook).replace("\\", "\\\\").replace('"', '\\"')
    preload = f'--require "{escaped}"'
    return options if preload in options else f"{options} {preload}".lstrip()


def bindings_package(provider: str) -> str:
    """The package with a provider's prebuilt bindings."""
    return f"cdktf_cdktf_provider_{provider}"


def register_unexecuted(package: str, name: str) -> None:
    """Register a package as `name`. Python then finds its submodules by path, and never runs its root module."""
    if spec := importlib.machinery.PathFinder.find_spec(package):
        sys.modules[name] = importlib.util.module_from_spec(spec)
