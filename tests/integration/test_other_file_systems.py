"""Disks that debugfs cannot read, made without privileges and read through libguestfs."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.contents import UnreadableError, read_disk
from bakery.contents.sbom import list_packages
from bakery.machine import disk_image, secret_search
from bakery.machine.root import COPY, ENVIRONMENT, SIGNATURES, TOOL, open_root
from bakery.model.contents import Package
from bakery.verify import hygiene
from integration.test_contents import SYFT, read_sboms, run, unbaked

pytestmark = pytest.mark.integration

MIB = 1 << 20
needs_guestfish = pytest.mark.skipif(
    shutil.which(TOOL) is None, reason="apt-get install guestfish libguestfs-xfs xfsprogs linux-image-cloud-amd64"
)
STATUS = """\
Package: {name}
Status: install ok installed
Version: 1.0-{name}
Architecture: amd64

"""
PACKAGES = ("acl", "dpkg")
SECRET = "correct horse battery staple"
FILES = {
    "etc/fstab": "",
    "etc/debian_version": "12.11\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\npacker:x:1000:1000::/home/packer:/bin/sh\n",
    "usr/lib/modules/6.1.0/modules.order": "",
    "bin/sh": "",
    "var/lib/dpkg/status": "".join(STATUS.format(name=name) for name in PACKAGES),
}


def make_xfs(tree: Path, file_system: Path) -> None:
    """With a prototype, since mounting needs root: mkfs.xfs(8)."""

    def describe(folder: Path) -> str:
        lines = [
            f"{path.name} d--755 0 0\n{describe(path)}$\n" if path.is_dir() else f"{path.name} ---644 0 0 {path}\n"
            for path in sorted(folder.iterdir())
        ]
        return "".join(lines)

    prototype = tree.with_suffix(".proto")
    prototype.write_text(f"x\n0 0\nd--755 0 0\n{describe(tree)}$\n")
    run("mkfs.xfs", "-q", "-p", prototype, file_system)


def write_signature(tree: Path, file_system: Path) -> None:
    """The first bytes of XFS, which is how it is known; mkfs.xfs need not be there."""
    with file_system.open("r+b") as stream:
        stream.write(SIGNATURES["XFS"][1])


def make_btrfs(tree: Path, file_system: Path) -> None:
    run("mkfs.btrfs", "--quiet", "--rootdir", tree, file_system)


def make_compressed(tree: Path, file_system: Path) -> None:
    """Btrfs with a secret that stands on no block of the disk as it is."""
    make_btrfs(tree, file_system)
    secret = tree.with_name("app.conf")
    secret.write_text(f"password={SECRET}\n" * 5000)
    guestfish(f"run\n mount-options compress-force=zlib /dev/sda /\n copy-in {secret} /etc\n", file_system)


def make_lvm(tree: Path, file_system: Path) -> None:
    script = f"""
        run
        pvcreate /dev/sda
        vgcreate system /dev/sda
        lvcreate-free root system 100
        mkfs xfs /dev/system/root
        mount /dev/system/root /
        {"".join(f"copy-in {path} /{chr(10)}" for path in tree.iterdir())}
    """
    guestfish(script, file_system)


def guestfish(script: str, file_system: Path) -> None:
    """Run commands over a file, which they may change."""
    environment = {**os.environ, **ENVIRONMENT}
    command: list[str | Path] = [TOOL, "--format=raw", "--add", file_system]
    subprocess.run(command, input=script, text=True, check=True, capture_output=True, env=environment)


def write_disk(folder: Path, make: Callable[[Path, Path], None]) -> Path:
    """A disk with one partition, which holds a small Debian."""
    tree, file_system, raw = folder / "tree", folder / "partition", folder / "disk.raw"
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for path, size in ((file_system, 400 * MIB), (raw, 402 * MIB)):
        with path.open("wb") as stream:
            stream.truncate(size)
    make(tree, file_system)
    subprocess.run(["sfdisk", "--quiet", raw], input="label: gpt\nstart=1MiB, size=400MiB\n", text=True, check=True)
    run("dd", f"if={file_system}", f"of={raw}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none")
    disk_image.to_qcow2(raw, folder / "disk.qcow2")
    return folder / "disk.qcow2"


@needs_guestfish
@pytest.mark.parametrize(
    "make",
    [
        make_xfs,
        # Minutes of an emulated machine, and only the file system differs.
        pytest.param(make_btrfs, marks=pytest.mark.soak),
        pytest.param(make_lvm, marks=pytest.mark.soak),
    ],
)
def test_contents_of_a_disk_that_debugfs_cannot_read(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    disk = write_disk(tmp_path, make)
    contents = read_disk(unbaked(disk), disk, SYFT)
    assert contents.packages == tuple(Package(name, f"1.0-{name}", "amd64", name, "") for name in PACKAGES)
    assert (contents.os, contents.kernels) == ("Debian GNU/Linux 12 (bookworm)", ("6.1.0",))
    names = {(name, f"1.0-{name}", "amd64") for name in PACKAGES}
    assert [list_packages(name, document) for name, document in read_sboms(disk).items()] == [names, names]


@needs_guestfish
@pytest.mark.soak  # two more starts of libguestfs; the test before reads such a disk, unit tests have all rules
def test_rules_apply_to_a_disk_that_debugfs_cannot_read(tmp_path: Path) -> None:
    with disk_image.as_raw(write_disk(tmp_path, make_compressed)) as raw:
        assert SECRET.encode() not in raw.read_bytes()
        failed = {check.name: check.detail for check in hygiene.check(raw, hygiene.RULES) if not check.passed}
        assert failed == {"no build user": "user packer"}
        (hidden,) = secret_search.search(raw, [SECRET])
        assert hidden.detail.endswith("/etc/app.conf")
        made = raw.with_name(COPY).stat().st_mtime_ns
        assert open_root(raw).read("/etc/debian_version") == "12.11\n"
        assert raw.with_name(COPY).stat().st_mtime_ns == made, "one copy answers all questions"


def test_a_missing_guestfish_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = write_disk(tmp_path, write_signature)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("qemu-img", "sfdisk"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(UnreadableError, match="the disk has XFS, which guestfish reads") as error:
        read_disk(unbaked(disk), disk, SYFT)
    assert error.value.hint.startswith("install guestfish")
