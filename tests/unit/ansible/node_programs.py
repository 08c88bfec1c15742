"""The programs of the role `vault`, as modules: they are scripts beside each other, and not of a package."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[3] / "ansible/roles/vault/files"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Read anew for each test; gone after it."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for each in NAMES:
        monkeypatch.delitem(sys.modules, each, raising=False)
    module = importlib.import_module(name)
    for each in NAMES:
        if each in sys.modules:  # what the patch undoes
            monkeypatch.setitem(sys.modules, each, sys.modules.pop(each))
    return module
