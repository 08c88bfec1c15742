"""A project whose Packer does what a test says."""

import tempfile
from pathlib import Path

import pytest

from doubles.packer import World, make_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return make_world(tmp_path, monkeypatch)
