"""The list of files of a system."""

import hashlib
import stat
from pathlib import Path

import pytest

from bakery.contents import debian
from bakery.contents.tree import copy_root, list_files, pack_files
from bakery.contents.unreadable import UnreadableError
from bakery.machine.disk_image import Partition
from bakery.machine.ext import ExtReader, Node
from bakery.machine.filesystem import FileSystem
from bakery.model.contents import File
from unit.bakery.contents.entries import entries_of, entry

EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A system with merged /usr, a package that names a file by its old path, and files of no package."""
    lists = {"base-files": "/.\n/etc/issue\n", "libc6:amd64": "/lib/ld-linux.so.2\n/usr/share/doc\n"}
    for path in ("usr/lib/ld-linux.so.2", "etc/issue", "srv/site", "var/lib/dpkg/status", "srv/__pycache__/site.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / debian.INFO).mkdir()
    for name, paths in lists.items():
        (tmp_path / debian.INFO / f"{name}.list").write_text(paths)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "srv/broken").symlink_to("/nowhere")
    return tmp_path


def test_each_file_has_its_digest_and_its_package(tree: Path) -> None:
    assert list_files(entries_of(tree), debian.read_owners(tree)).files == (
        File("/etc/issue", 0, EMPTY, "base-files"),
        File("/lib", 0, "-> usr/lib"),
        File("/srv/broken", 0, "-> /nowhere"),
        File("/srv/site", 0, EMPTY),
        File("/usr/lib/ld-linux.so.2", 0, EMPTY, "libc6"),
    )


def test_an_old_path_counts_only_where_usr_is_merged(tree: Path) -> None:
    (tree / "lib").unlink()
    owners = {file.path: file.package for file in list_files(entries_of(tree), debian.read_owners(tree)).files}
    assert owners["/usr/lib/ld-linux.so.2"] == ""


def test_equal_systems_give_equal_bytes(tree: Path) -> None:
    first = pack_files(list_files(entries_of(tree), {}))
    (tree / "srv/site").touch()
    assert pack_files(list_files(entries_of(tree), {})) == first
    (tree / "srv/site").write_text("x")
    assert pack_files(list_files(entries_of(tree), {})) != first


def test_a_private_file_has_no_digest(tree: Path) -> None:
    (tree / "srv/site").chmod(0o640)
    listed = list_files(entries_of(tree), {})
    assert File("/srv/site", 0, "") in listed.files
    assert File("/etc/issue", 0, EMPTY) in listed.files


def test_folders_without_packages_are_left_out() -> None:
    paths = ("/boot/linux", "/usr/lib/modules/6.1/a.ko", "/var/cache/x", "/usr/lib/modules-load.d/a.conf", "/bootx")
    listed = list_files([entry(path) for path in paths], {})
    assert [file.path for file in listed.files] == ["/bootx", "/usr/lib/modules-load.d/a.conf"]


def test_a_path_that_is_too_long_for_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux limits each path that a program names to 4096 bytes, and the copy is in a folder."""
    raw, tree = tmp_path / "raw", tmp_path / "tree"
    raw.write_bytes(bytes(4096))
    folder = Node(12, stat.S_IFDIR | 0o755, 0, 0, 0, 0, 2, bytes(60), ())
    monkeypatch.setattr(ExtReader, "walk", lambda _: iter([(b"", folder), (b"/" + b"a/" * 2048, folder)]))
    with pytest.raises(UnreadableError, match="a path is too long to be copied"):
        copy_root(FileSystem(raw, Partition("disk1", "", 0, 4096, 1)), tree)
