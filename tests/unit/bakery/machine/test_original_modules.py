"""The search for secrets in modules of a kernel, of which a Debian system has the digests."""

import hashlib
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakery.machine import disk_image, secret_search
from bakery.machine.filesystem import Entry
from bakery.machine.original_modules import LISTS, STATUS, read_original_modules
from bakery.model.documents import Check

SECRET = "canary-5e1f08b2-in-a-module"
NOISE = hashlib.shake_256(b"noise").digest(9000)
MODULE = lzma.compress(NOISE[:999] + SECRET.encode() * 9 + NOISE[999:])
PATH = "usr/lib/modules/6.12/kernel/crypto/one.ko.xz"
OTHER = "usr/share/doc/linux-image/one.ko.xz"
LIST = f"{hashlib.md5(MODULE, usedforsecurity=False).hexdigest()}  {PATH}\n"
PACKAGE = "Package: linux-image\nStatus: install ok installed\nVersion: 6\n"


@dataclass
class Root:
    """A root file system with one module."""

    raw: Path
    content: bytes = MODULE
    status: str = f"Package: other\nStatus: install ok installed\n\n{PACKAGE}"
    lists: dict[str, str] = field(default_factory=lambda: {"other.md5sums": "", "linux-image.md5sums": LIST})
    path: str = PATH
    place: tuple[int, int] | None = (4096, 4096 + len(MODULE))
    partition = disk_image.Partition("root", "x", 0, 1 << 20, 1)

    def __post_init__(self) -> None:
        with self.raw.open("wb") as disk:
            disk.seek(4096)
            disk.write(self.content)
            disk.truncate(1 << 20)

    def read(self, path: str) -> str:
        return {STATUS: self.status}.get(path, "")

    def list(self, path: str) -> list[Entry]:
        return [Entry(name, 0o100644, 1, inode) for inode, name in enumerate(self.lists)] if path == LISTS else []

    def read_files(self, inodes: Sequence[int]) -> Sequence[str]:
        return [list(self.lists.values())[inode] for inode in inodes]

    def locate(self, paths: Sequence[str]) -> Sequence[tuple[int, int] | None]:
        return [self.place if path == f"/{self.path}" else None for path in paths]

    def jumps(self) -> dict[int, int]:
        return {}

    def owner(self, offset: int) -> str:
        return f"/{self.path}"


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Check]:
    """Searches a disk whose root has some other content, status, lists or place."""

    def search(**fields: object) -> Check:
        root = Root(tmp_path / "disk.raw", **fields)  # type: ignore[arg-type]
        monkeypatch.setattr(secret_search, "open_root", lambda raw: root)
        monkeypatch.setattr(secret_search, "ext_file_systems", lambda raw: [])
        return secret_search.search(root.raw, [SECRET])[0]

    return search


def test_a_module_as_its_package_brought_it_is_not_decompressed(search: Callable[..., Check]) -> None:
    assert SECRET.encode() not in MODULE
    assert search().passed


def test_its_compressed_bytes_are_searched(search: Callable[..., Check]) -> None:
    content = MODULE + SECRET.encode()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    check = search(
        content=content, lists={"linux-image.md5sums": f"{digest}  {PATH}\n"}, place=(4096, 4096 + len(content))
    )
    assert "in plain text at byte" in check.detail


def test_the_same_bytes_elsewhere_are_not_decompressed(search: Callable[..., Check]) -> None:
    """As an initial RAM disk has them."""
    assert search(content=MODULE + b"between" + lzma.compress(b"before" + MODULE)).passed


def test_a_copy_that_was_changed_is_decompressed(search: Callable[..., Check]) -> None:
    check = search(content=MODULE + b"between" + MODULE[:-1] + b"?")
    assert f"in plain text in xz at byte {4096 + len(MODULE) + len('between')}:" in check.detail


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"content": lzma.compress(SECRET.encode() * 9 + NOISE)}, id="changed after its installation"),
        pytest.param({"lists": {"linux-image.md5sums": LIST.replace("one", "two")}}, id="not in the list"),
        pytest.param({"lists": {"linux-image.list": LIST}}, id="no list of digests"),
        pytest.param({"lists": {"gone.md5sums": LIST}}, id="list of no package"),
        pytest.param({"path": OTHER, "lists": {"linux-image.md5sums": LIST.replace(PATH, OTHER)}}, id="no module"),
        pytest.param({"status": ""}, id="no status"),
        pytest.param({"status": PACKAGE.replace("ok installed", "ok config-files")}, id="removed"),
        pytest.param({"status": PACKAGE.replace("ok installed", "ok half-installed")}, id="half installed"),
        pytest.param({"status": PACKAGE.replace("ok", "reinstreq")}, id="broken"),
        pytest.param({"status": PACKAGE.replace("Status", " Status")}, id="status in a description"),
        pytest.param({"place": None}, id="in fragments"),
    ],
)
def test_any_other_module_is_decompressed(search: Callable[..., Check], fields: dict[str, object]) -> None:
    assert "in plain text in xz" in search(**fields).detail


def test_a_list_in_the_way_before_lib_moved_to_usr_counts(tmp_path: Path) -> None:
    path = PATH.removeprefix("usr/")
    root = Root(tmp_path / "disk.raw", path=path, lists={"linux-image.md5sums": LIST.replace(PATH, path)})
    assert list(read_original_modules(root)) == [MODULE]  # type: ignore[arg-type]
