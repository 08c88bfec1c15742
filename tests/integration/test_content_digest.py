"""Content digests of real disks: what changes them, and that two bakes of equal inputs have one."""

import gzip
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds import definitions
from bakery.contents import FILE_LIST, SystemContents, boot, read_disk, read_raw, write_disk_contents
from bakery.contents.digest import EXCLUDED, Content, read_content
from bakery.contents.tree import read_entries
from bakery.engine import toolbox
from bakery.host import files
from bakery.host.events import silent
from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import root_of
from bakery.model import documents
from bakery.model.contents import Contents, FileList
from bakery.model.documents import Artifact
from bakery.model.project import Project

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SYFT = ROOT / ".bakery" / "tools" / "bin" / "syft"
MIB = 1 << 20
TABLE = """\
label: gpt
label-id: 5E9DE3A4-53E4-4C53-8E3C-1B5F8E2D7A10
name=grub, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, uuid=0F6C5C4E-9A4B-4B0E-8B77-5D3D4B1C9E22
name=ESP, size=40MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=0F6C5C4E-9A4B-4B0E-8B77-5D3D4B1C9E21
name=boot, size=16MiB, type=BC13C2FF-59E6-4262-A352-B275FD6F7172, uuid=0F6C5C4E-9A4B-4B0E-8B77-5D3D4B1C9E23
name=root, size=48MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=7C3A2E58-6E0D-4F57-A0C6-2B9B8E4F6D32
"""
UUID = "2d0ad2c2-35c3-4b8c-9d0c-6a4f5c6c2a57"


def run(*command: str | Path, text: str = "") -> None:
    subprocess.run(command, input=text, text=True, capture_output=True, check=True)


class RawDisk:
    """A disk with a partition for GRUB, an EFI system partition, one for /boot and a root."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk.raw"
        tree = folder / "tree"
        (tree / "etc").mkdir(parents=True)
        (tree / "etc/issue").write_text("issue\n")
        (tree / "etc/key").write_text("secret\n")
        (tree / "etc/key").chmod(0o600)
        (tree / "link").symlink_to("etc/issue")
        with self.path.open("wb") as stream:
            stream.truncate(112 * MIB)
        run("sfdisk", "--quiet", self.path, text=TABLE)
        self.grub, self.esp, self.boot, self.root = disk_image.partitions(self.path)
        for partition in (self.boot, self.root):
            options = ("-E", f"offset={partition.start}", "-U", UUID, "-d", tree)
            run("mke2fs", "-q", "-t", "ext4", *options, self.path, f"{partition.size >> 10}k")
        size = ("-T", str(self.esp.size // 512), "-h", "64", "-s", "32")
        run("mformat", "-i", self.image, "-F", *size, "-N", "9D61C0E4", "-v", "ESP", "::")
        (folder / "loader").write_text("loader")
        run("mcopy", "-i", self.image, folder / "loader", "::/LOADER.EFI")

    @property
    def image(self) -> str:
        return f"{self.path}@@{self.esp.start}"

    def change(self, *requests: str, partition: disk_image.Partition | None = None) -> None:
        """Let debugfs change a file system, the root unless another is named."""
        disk = f"{self.path}?offset={(partition or self.root).start}"
        done = subprocess.run(
            ["debugfs", "-w", "-f", "-", disk], input="\n".join(requests), text=True, capture_output=True, check=True
        )
        assert done.stderr.startswith("debugfs 1.") and done.stderr.count("\n") == 1, done.stderr

    def write(self, offset: int, content: bytes) -> None:
        with self.path.open("r+b") as stream:
            stream.seek(offset)
            stream.write(content)

    def read(self) -> Content:
        root = root_of(self.path)
        assert root
        scratch = self.path.with_name(f"scratch-{time.monotonic_ns()}")
        scratch.mkdir()
        entries = read_entries(self.path, root.partition)
        return read_content(self.path, root, entries, boot.copy_partitions(self.path, scratch))


@pytest.fixture
def raw(tmp_path: Path) -> RawDisk:
    return RawDisk(tmp_path)


Change = Callable[[RawDisk], None]
COUNTED: dict[str, tuple[Change, list[str]]] = {
    "content": (lambda disk: disk.change("rm etc/issue", "write /etc/hostname etc/issue"), ["/etc/issue"]),
    "name": (lambda disk: disk.change("ln etc/issue etc/other", "unlink etc/issue"), ["/etc/issue", "/etc/other"]),
    "second name": (lambda disk: disk.change("ln etc/issue etc/other"), ["/etc/other"]),
    "mode": (lambda disk: disk.change("sif etc/issue mode 0104755"), ["/etc/issue"]),
    "mode of a folder": (lambda disk: disk.change("sif etc mode 0040700"), ["/etc"]),
    "owner": (lambda disk: disk.change("sif etc/issue uid 7"), ["/etc/issue"]),
    "group": (lambda disk: disk.change("sif etc/issue gid 7"), ["/etc/issue"]),
    "capability": (lambda disk: disk.change("ea_set etc/issue security.capability x"), ["/etc/issue"]),
    "label of SELinux": (lambda disk: disk.change("ea_set link security.selinux etc_t"), ["/link"]),
    "target of a link": (lambda disk: disk.change("rm link", "symlink link etc/key"), ["/link"]),
    "device": (lambda disk: disk.change("mknod null c 1 3"), ["/null"]),
    "flag": (lambda disk: disk.change("sif etc/issue flags 0x80010"), ["/etc/issue"]),
    "label of the root": (lambda disk: run_on(disk, "e2label", "root"), ["partition 4"]),
    "file of another partition": (
        lambda disk: disk.change("rm etc/issue", partition=disk.boot),
        ["partition 3/etc/issue"],
    ),
    "file for the firmware": (lambda disk: run("mdel", "-i", disk.image, "::/LOADER.EFI"), ["partition 2/LOADER.EFI"]),
    "folder for the firmware": (lambda disk: run("mmd", "-i", disk.image, "::/EFI"), ["partition 2/EFI"]),
    "serial of FAT": (lambda disk: disk.write(disk.esp.start + 67, b"\x01"), ["partition 2"]),
    "boot loader": (lambda disk: disk.write(disk.grub.start + 512, b"grub"), ["partition 1"]),
    "boot code": (lambda disk: disk.write(0, b"code"), ["boot code"]),
    "type of a partition": (
        lambda disk: run("sfdisk", "--part-type", disk.path, "3", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
        ["partition table"],
    ),
}


def run_on(disk: RawDisk, program: str, value: str) -> None:
    """Run a program of e2fsprogs on the root file system."""
    run(program, f"{disk.path}?offset={disk.root.start}", value)


@pytest.mark.parametrize("name", COUNTED)
def test_each_change_of_a_disk_gives_another_digest_and_names_its_path(raw: RawDisk, name: str) -> None:
    before = raw.read()
    change, paths = COUNTED[name]
    change(raw)
    after = raw.read()
    assert before.digest != after.digest != ""
    assert differences(before.entries, after.entries) == paths


def test_bytes_of_a_private_file_change_the_digest_and_not_the_list(raw: RawDisk) -> None:
    before = raw.read()
    (raw.path.with_name("other")).write_text("other")
    raw.change("rm etc/key", f"write {raw.path.with_name('other')} etc/key", "sif etc/key mode 0100600")
    after = raw.read()
    assert before.digest != after.digest
    assert differences(before.entries, after.entries) == []


UNCOUNTED: dict[str, Change] = {
    "times": lambda disk: disk.change(*(f"sif etc/issue {name}time 202001010000" for name in "acm")),
    "mounts": lambda disk: disk.change("ssv mnt_count 9", "ssv mtime 202001010000"),
    "free space": lambda disk: disk.change(f"write {disk.path.parent}/loader gone", "rm gone"),
    "place of data": lambda disk: disk.change(
        f"write {disk.path.parent}/loader gone",
        "rm etc/issue",
        f"write {disk.path.parent}/tree/etc/issue etc/issue",
        "rm gone",
    ),
}


@pytest.mark.parametrize("name", UNCOUNTED)
def test_what_no_program_sees_changes_nothing(raw: RawDisk, name: str) -> None:
    before, bytes_before = raw.read(), files.sha256(raw.path)
    UNCOUNTED[name](raw)
    assert files.sha256(raw.path) != bytes_before
    assert raw.read() == before


@pytest.mark.parametrize("pattern", [exclusion.pattern for exclusion in EXCLUDED])
def test_excluded_paths_do_not_count(raw: RawDisk, pattern: str) -> None:
    path = Path(pattern.replace("*", "x").lstrip("/"))
    folders = [f"mkdir {folder}" for folder in reversed(path.parents) if folder.name and folder != Path("etc")]
    raw.change(*folders)
    before = raw.read()
    raw.change(f"write {raw.path.parent}/loader {path}")
    assert raw.read() == before


def test_a_disk_that_was_not_unmounted_has_no_digest(raw: RawDisk) -> None:
    raw.change("feature needs_recovery")
    assert raw.read() == Content()


def test_a_large_partition_without_files_leaves_a_disk_without_digest(raw: RawDisk, tmp_path: Path) -> None:
    """Its bytes would have to count, and they say no more than the digest of the disk."""
    with raw.path.open("r+b") as stream:
        stream.truncate(256 * MIB)
    run("sfdisk", "--relocate", "gpt-bak-std", raw.path)
    run("sfdisk", "--append", raw.path, text="size=100MiB\n")
    assert raw.read() == Content()


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def bake_web(base: BaseDisk, workspace: Path, mode: str) -> tuple[Contents, dict[str, str]]:
    """The contents of a disk with nginx, and its entries. A password would have a salt of its own in each bake."""
    project = Project(ROOT, ROOT / "packer" / "images", workspace)
    image = definitions.load(project.definitions).images["web"].model_copy(update={"mode": mode, "secrets": {}})
    request = BakeRequest(image, "1.0.0", {}, "k" * 64)
    found: list[SystemContents] = []
    context = BakeContext(
        project,
        toolbox.toolchain(project),
        None,
        silent,
        examine=lambda raw, report: found.append(read_raw(raw, request.image_version, report, SYFT)),
    )
    artifact: Artifact = bake(request, base, context)
    disk = Path(artifact.disk.path)
    contents = read_disk(artifact, disk, SYFT)
    assert [write_disk_contents(each, artifact, disk) for each in found] == [contents], "as the bake read them"
    packed = Path(artifact.disk.path).with_name(FILE_LIST).read_bytes()
    return contents, documents.parse(FileList, gzip.decompress(packed), FILE_LIST).entries


@pytest.mark.root
def test_two_bakes_of_equal_inputs_have_equal_content(base_disk: BaseDisk, tmp_path: Path) -> None:
    first, first_entries = bake_web(base_disk, tmp_path / "first", "chroot")
    second, second_entries = bake_web(base_disk, tmp_path / "second", "chroot")
    assert first.sha256 != second.sha256, "their bytes differ"
    assert differences(first_entries, second_entries) == []
    assert first.content_digest == second.content_digest != ""


# A guest leaves folders of services that ran. Its cloud-init locks root's password in another way, in /etc/shadow, of
# whose bytes a list has no trace. The mode is an input of its own, so no image takes one for the other.
OF_A_GUEST = [
    "/etc/default/locale",  # systemd makes it a link
    "/var/lib/cloud",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/linger",
    "/var/lib/systemd/timers",
    "/var/lib/systemd/timesync",
    "/var/lib/systemd/timesync/clock",
]


@pytest.mark.soak  # minutes of a processor for a guest; the test above shows the same for two bakes without one
@pytest.mark.guest
@pytest.mark.root
def test_a_role_gives_equal_content_in_both_modes_but_for_traces_of_the_boot(
    base_disk: BaseDisk, tmp_path: Path
) -> None:
    _, chroot_entries = bake_web(base_disk, tmp_path / "chroot", "chroot")
    _, guest_entries = bake_web(base_disk, tmp_path / "guest", "vm")
    assert differences(chroot_entries, guest_entries) == OF_A_GUEST
