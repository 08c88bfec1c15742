"""The rules on real disks: ext4 made by mke2fs, an EFI system partition made by mtools."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bakery.machine import disk_image, esp
from bakery.machine.file_tree import read_tree
from bakery.machine.filesystem import ROOT_TYPE, root_of
from bakery.machine.free_space import clear_free_space, find_remains
from bakery.model.documents import Check
from bakery.verify import hygiene
from doubles.trees import Program, Tree
from integration.test_contents import run
from unit.bakery.verify.rules.test_dirt import CLEAN, DIRT

pytestmark = pytest.mark.integration

MIB = 1 << 20
LAYOUT = f"label: gpt\nstart=1MiB, size=40MiB, type={esp.TYPE}\nstart=41MiB, size=64MiB, type={ROOT_TYPE}\n"
DELETED = b"what a role wrote and removed " * 1000


def write_tree(folder: Path, tree: Tree) -> None:
    for name, content in tree.items():
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case None:
                path.mkdir(exist_ok=True)
            case Program(mode):
                path.write_text("x")
                path.chmod(mode)
            case text if text.startswith("-> "):
                path.symlink_to(text.removeprefix("-> "))
            case text:
                path.write_text(text)


def write_disk(folder: Path, tree: Tree, *esp_files: str) -> Path:
    """A raw disk with an EFI system partition, and a root file system that holds a tree."""
    folder.mkdir()
    raw, source = folder / "disk.raw", folder / "tree"
    write_tree(source, tree)
    with raw.open("wb") as stream:
        stream.truncate(108 * MIB)
    subprocess.run(["sfdisk", "--quiet", raw], input=LAYOUT, text=True, check=True)
    esp_partition, root = disk_image.partitions(raw)
    image = f"{raw}@@{esp_partition.start}"
    run("mformat", "-i", image, "-F", "-T", str(esp_partition.size // 512), "-h", "64", "-s", "32", "::")
    run("mmd", "-i", image, "::/loader")
    for name in esp_files:
        run("mcopy", "-i", image, source / "etc" / "fstab", f"::{name}")
    run("mke2fs", "-q", "-t", "ext4", "-d", source, "-E", f"offset={root.start}", raw, f"{root.size >> 10}k")
    return raw


def write_and_delete(raw: Path) -> None:
    """A deleted file on each file system."""
    content = raw.with_name("content")
    content.write_bytes(DELETED)
    esp_partition, root = disk_image.partitions(raw)
    image = f"{raw}@@{esp_partition.start}"
    run("mcopy", "-i", image, content, "::/loader/gone")
    run("mdel", "-i", image, "::/loader/gone")
    script = raw.with_name("requests")
    script.write_text(f"write {content} /gone\nrm /gone\n")
    run("debugfs", "-w", "-f", script, f"{raw}?offset={root.start}")


def failed(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.detail for check in checks if not check.passed}


def test_a_clean_disk_passes_and_a_dirty_one_breaks_every_rule(tmp_path: Path) -> None:
    clean = write_disk(tmp_path / "clean", CLEAN)
    assert failed(hygiene.check(clean, hygiene.RULES)) == {}
    dirt = dict(cases[0] for cases in DIRT.values())
    dirty = write_disk(tmp_path / "dirty", {**CLEAN, **dirt}, "/loader/random-seed")
    write_and_delete(dirty)
    found = failed(hygiene.check(dirty, hygiene.RULES))
    assert found.keys() == hygiene.RULES.keys()
    assert "on the EFI system partition" in found["no random seed"]
    assert "partition 1" in found["free blocks are empty"]
    assert "partition 2" in found["free blocks are empty"]


def test_deleted_content_is_cleared_and_nothing_else_changes(tmp_path: Path) -> None:
    raw = write_disk(tmp_path / "disk", CLEAN, "/loader/loader.conf")
    write_and_delete(raw)
    partitions = disk_image.partitions(raw)
    assert all(list(find_remains(raw, partition)) for partition in partitions)
    assert raw.read_bytes().count(DELETED) == 2
    spoiled = raw.with_name("spoiled.raw")
    shutil.copyfile(raw, spoiled)
    assert clear_free_space(raw) >= 2 * len(DELETED)
    assert DELETED[:30] not in raw.read_bytes()
    assert not any(list(find_remains(raw, partition)) for partition in partitions)
    assert read_all(raw) == read_all(spoiled)
    root = partitions[1]
    subprocess.run(["e2fsck", "-f", "-n", f"{raw}?offset={root.start}"], check=True, capture_output=True)
    # e2image knows by itself which blocks are in use.
    for disk in (raw, spoiled):
        used = disk.with_suffix(".used")
        run("e2image", "-r", "-a", "-o", str(root.start), disk, used)
    assert raw.with_suffix(".used").read_bytes() == spoiled.with_suffix(".used").read_bytes()


def read_all(raw: Path) -> dict[str, str]:
    """The texts of all files of the root, and the loader's on the EFI system partition."""
    root = root_of(raw)
    assert root
    files = read_tree(root)
    start = disk_image.partitions(raw)[0].start
    loader = subprocess.run(
        ["mtype", "-i", f"{raw}@@{start}", "::/loader/loader.conf"], capture_output=True, text=True, check=True
    )
    return {**files.read_all(path for path, _ in files.walk("")), "loader.conf": loader.stdout}


def test_names_with_all_that_a_shell_or_debugfs_could_misread(tmp_path: Path) -> None:
    names = ('/etc/with "quotes"', "/etc/with space/x", "/etc/-p", "/etc/<2>", "/etc/ümlaut")
    raw = write_disk(tmp_path / "disk", {**CLEAN, **dict.fromkeys(names, "text\ndebugfs: cat <2>\nmore")})
    root = root_of(raw)
    assert root
    files = read_tree(root)
    assert files.read_all(names) == dict.fromkeys(names, "text\ndebugfs: cat <2>\nmore")


def test_a_file_system_with_small_blocks(tmp_path: Path) -> None:
    """Blocks of 1 KiB start with number 1."""
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as stream:
        stream.truncate(33 * MIB)
    subprocess.run(["sfdisk", "--quiet", raw], input="label: gpt\nstart=1MiB\n", text=True, check=True)
    (partition,) = disk_image.partitions(raw)
    options = ("-q", "-t", "ext4", "-b", "1024", "-E", f"offset={partition.start}")
    run("mke2fs", *options, raw, f"{partition.size >> 10}k")
    with raw.open("r+b") as stream:
        stream.seek(partition.start + partition.size - 3 * MIB)
        stream.write(os.urandom(4096))
    assert sum(extent.end - extent.start for extent in find_remains(raw, partition)) == 4096
    assert clear_free_space(raw) == 4096
