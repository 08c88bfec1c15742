"""The copy of the files of a system."""

import stat
from pathlib import Path

import pytest

from bakery.contents.tree import copy_root
from bakery.contents.unreadable import UnreadableError
from bakery.machine.disk_image import Partition
from bakery.machine.ext import ExtReader, Node
from bakery.machine.filesystem import FileSystem


def test_a_path_that_is_too_long_for_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux limits each path that a program names to 4096 bytes, and the copy is in a folder."""
    raw, tree = tmp_path / "raw", tmp_path / "tree"
    raw.write_bytes(bytes(4096))
    folder = Node(12, stat.S_IFDIR | 0o755, 0, 0, 0, 0, 2, bytes(60), ())
    monkeypatch.setattr(ExtReader, "walk", lambda _: iter([(b"", folder), (b"/" + b"a/" * 2048, folder)]))
    with pytest.raises(UnreadableError, match="a path is too long to be copied"):
        copy_root(FileSystem(raw, Partition("disk1", "", 0, 4096, 1)), tree)
