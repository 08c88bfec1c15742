"""Runs the program on CDK Terrain (`cdktn`), the fork of cdktf, which is archived.

Both have the same names, so cdktn's packages replace cdktf's, and the stacks still import `cdktf`.
"""

import importlib
import sys

from bakery_stacks import lazy


def install() -> None:
    """Call this after lazy.install(), and before the first import of cdktf."""
    for provider in lazy.PROVIDERS:
        lazy.register_unexecuted(f"cdktn_provider_{provider}", lazy.bindings_package(provider))
    sys.modules["cdktf"] = importlib.import_module("cdktn")
