"""The search for secrets in a kernel's module on a Debian system, as debugfs reads it."""

import hashlib
import lzma
import subprocess
from pathlib import Path

import pytest

from bakery.machine import secret_search
from bakery.machine.root import open_root

pytestmark = pytest.mark.integration

SECRET = 'canary & "5e1f08b2" <pass>'
BLOCK = 4096
OFFSET = 1 << 20
MODULE = lzma.compress(hashlib.shake_256(b"noise").digest(3 * BLOCK) + SECRET.encode() * 9)
PATH = "lib/modules/6.12/kernel/one.ko.xz"


def write_disk(folder: Path, module: bytes = MODULE, package: str = "linux-image", listed: str = f"usr/{PATH}") -> Path:
    """A raw disk of a system with one module, and with a digest of MODULE in the list of a package."""
    tree, raw = folder / "tree", folder / "disk.raw"
    status = "Package: linux-image\nStatus: install ok installed\n\nPackage: gone\nStatus: deinstall ok config-files\n"
    digest = hashlib.md5(MODULE, usedforsecurity=False).hexdigest()
    texts = {"status": status, f"info/{package}.md5sums": f"{digest}  {listed}\n"}
    contents = {f"var/lib/dpkg/{name}": text.encode() for name, text in texts.items()}
    for path, content in {**contents, f"usr/{PATH}": module}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    (tree / "lib").symlink_to("usr/lib")
    with raw.open("wb") as stream:
        stream.truncate(10 * OFFSET)
    subprocess.run(["sfdisk", "-q", raw], input="label: gpt\nstart=2048, size=16384\n", text=True, check=True)
    options = ["-q", "-b", f"{BLOCK}", "-O", "^has_journal", "-E", f"offset={OFFSET}", "-d", str(tree)]
    subprocess.run(["mke2fs", "-t", "ext4", *options, raw, "8M"], check=True)
    return raw


def is_decompressed(raw: Path) -> bool:
    (check,) = secret_search.search(raw, [SECRET])
    assert check.passed or "in plain text in xz at byte" in check.detail
    assert check.passed or check.detail.endswith(f"/usr/{PATH}")
    return not check.passed


@pytest.mark.parametrize("listed", [f"usr/{PATH}", PATH], ids=["in usr", "through the link lib"])
def test_a_module_as_its_package_brought_it_is_not_decompressed(tmp_path: Path, listed: str) -> None:
    assert not is_decompressed(write_disk(tmp_path, listed=listed))


def test_a_module_that_was_changed_is_decompressed(tmp_path: Path) -> None:
    assert is_decompressed(write_disk(tmp_path, lzma.compress(SECRET.encode() * 9 + MODULE)))


def test_a_digest_of_a_removed_package_counts_nothing(tmp_path: Path) -> None:
    assert is_decompressed(write_disk(tmp_path, package="gone"))


def test_a_module_outside_of_the_list_is_decompressed(tmp_path: Path) -> None:
    assert is_decompressed(write_disk(tmp_path, listed=f"usr/{PATH.replace('one', 'two')}"))


def test_only_regular_files_in_one_extent_are_located(tmp_path: Path) -> None:
    raw = write_disk(tmp_path)
    root = open_root(raw)
    whole, link, folder, missing = root.locate([f"/usr/{PATH}", "/lib", "/usr", "/usr/none"])
    assert whole
    assert raw.read_bytes()[slice(*whole)] == MODULE
    assert (link, folder, missing) == (None, None, None)

    sparse = tmp_path / "sparse"
    with sparse.open("wb") as stream:
        stream.write(b"x" * BLOCK)
        stream.truncate(1 << 30)
        (tmp_path / "holes").write_bytes(b"x" * BLOCK + bytes(8 * BLOCK) + b"x" * BLOCK)
    requests = tmp_path / "requests"
    requests.write_text(f"write {sparse} /sparse\nwrite {tmp_path / 'holes'} /holes\n")
    edit = ["debugfs", "-w", "-f", str(requests), f"{raw.name}?offset={OFFSET}"]
    subprocess.run(edit, check=True, cwd=tmp_path, capture_output=True)
    assert root.find("/sparse") is not None
    assert root.locate(["/sparse", "/holes"]) == [None, None]
