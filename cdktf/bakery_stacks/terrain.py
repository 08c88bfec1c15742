"""Runs the program on CDK Terrain (`cdktn`), the fork that goes on where cdktf was archived.

Both have the same names, so cdktn's packages stand in for cdktf's: the stacks import `cdktf` either way.
"""

import importlib
import sys

from bakery_stacks import lazy


def install() -> None:
    """Call this after lazy.install(), and before the first import of cdktf."""
    for provider in lazy.PROVIDERS:
        lazy.register_unexecuted(f"cdktn_provider_{provider}", lazy.bindings_package(provider))
    sys.modules["cdktf"] = importlib.import_module("cdktn")
