"""Contents of real disks, against the answers of the package managers themselves."""

import gzip
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.contents import DATABASE, FILE_LIST, UnreadableError, boot, read_archive, read_disk, sbom_path
from bakery.contents.comparison import FileChange, PackageChange, compare_files, compare_packages
from bakery.contents.sbom import list_packages
from bakery.contents.tree import copy_root
from bakery.host import files
from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import root_of
from bakery.model import documents
from bakery.model.contents import ROOT_ARCHIVE, SBOM_SUFFIXES, FileList, Package, SbomFormat
from bakery.model.documents import Artifact, Base, Disk, RemoteBuild
from doubles.artifacts import artifact_of
from doubles.disks import write_disk

pytestmark = pytest.mark.integration

QUESTION = "${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package}\\n"
SYFT = Path(__file__).parents[2] / ".bakery" / "tools" / "bin" / "syft"
PACK = Path(__file__).parents[2] / "ansible" / "playbooks" / "contents" / "pack.sh"
SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: A package
License: none
BuildArch: noarch
Vendor: Example
%description
A package.
%files
"""


def unbaked(disk: Path) -> Artifact:
    """The document of a disk whose digests do not matter."""
    base = Base("debian trixie", "", "c" * 64)
    return artifact_of(Disk(str(disk), "qcow2", 0, "a" * 64, "b" * 64, "c" * 64), base, image="web")


def build_at_aws() -> RemoteBuild:
    """The document of a build that no Packer made."""
    # fmt: off
    return RemoteBuild(
        image="web", arch="x86_64", version="1.0.0", os="debian-13", target="aws", builder="amazon-ebs", input_key="k",
        inputs={}, base="debian", identity="e" * 64, ids={"eu-central-1": "ami-1"}, checks=(), commit="", tools={},
        seconds={}, created="2026-11-23T16:00:00+00:00", log="",
    )
    # fmt: on


def read_sboms(disk: Path) -> dict[SbomFormat, Any]:
    return {name: json.loads(sbom_path(disk.parent, name).read_bytes()) for name in SBOM_SUFFIXES}


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def disk(base_disk: BaseDisk, tmp_path: Path) -> Path:
    """A link to the base, in a folder for what is written beside it."""
    link = tmp_path / "disk.qcow2"
    link.symlink_to(base_disk.path)
    return link


@pytest.fixture
def mounted_root(base_disk: BaseDisk, tmp_path: Path) -> Iterator[Path]:
    """The root file system of the base, mounted read-only."""
    folder = tmp_path / "root"
    folder.mkdir()
    with disk_image.as_raw(base_disk.path) as raw:
        root = root_of(raw)
        assert root
        run("mount", "-o", f"ro,noload,loop,offset={root.partition.start}", raw, folder)
        try:
            yield folder
        finally:
            run("umount", folder)


# In a mount namespace of its own: a bake that began beside this test would have a copy of the mount, and until its end
# nothing would say that all of the file system is on the disk.
CHANGE = """
mount -o "loop,offset=$2" "$1" "$3/root"
cp "$3/netbase.deb" "$3/example.deb" "$3/root/"
chroot "$3/root" dpkg --purge acl
chroot "$3/root" dpkg --install /netbase.deb /example.deb
echo changed >"$3/root/etc/issue"
echo new >"$3/root/srv/site"
umount "$3/root"
"""


@pytest.fixture
def changed_disk(base_disk: BaseDisk, tmp_path: Path) -> Path:
    """The base after dpkg removed acl, replaced netbase and installed a package of our own."""
    folder, raw, disk = tmp_path / "changed", tmp_path / "changed.raw", tmp_path / "changed" / "disk.qcow2"
    (folder / "root").mkdir(parents=True)
    write_deb(folder / "netbase.deb", "netbase", "99")
    write_deb(folder / "example.deb", "example", "1.0")
    run("qemu-img", "convert", "-O", "raw", base_disk.path, raw)
    root = root_of(raw)
    assert root
    namespace = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", CHANGE, "sh")
    run(*namespace, raw, str(root.partition.start), folder)
    disk_image.to_qcow2(raw, disk)
    return disk


def write_deb(path: Path, name: str, version: str) -> None:
    """An empty package."""
    tree = path.with_suffix(".tree")
    (tree / "DEBIAN").mkdir(parents=True)
    fields = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "x", "Description": "x"}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    run("dpkg-deb", "--build", "-Znone", tree, path)


@pytest.mark.root
def test_compare_lists_exactly_what_dpkg_changed(disk: Path, changed_disk: Path) -> None:
    before = read_disk(unbaked(disk), disk, SYFT)
    after = read_disk(unbaked(changed_disk), changed_disk, SYFT)
    acl, netbase = (next(package for package in before.packages if package.name == name) for name in ("acl", "netbase"))
    assert compare_packages(before.packages, after.packages) == (
        PackageChange("acl", "amd64", acl.version, ""),
        PackageChange("example", "all", "", "1.0"),
        PackageChange("netbase", "all", netbase.version, "99"),
    )
    assert (before.boot, before.kernels) == (after.boot, after.kernels)
    before_files, after_files = (
        documents.parse(FileList, gzip.decompress(path.with_name(FILE_LIST).read_bytes()), FILE_LIST)
        for path in (disk, changed_disk)
    )
    changes = {
        change.path: change for change in compare_files(before_files, after_files, {"acl", "example", "netbase"})
    }
    assert changes["/etc/issue"] == FileChange("/etc/issue", "changed", "base-files")
    assert changes["/srv/site"] == FileChange("/srv/site", "added", "")
    digests = {file.path: file.digest for file in after_files.files}
    assert digests["/etc/shadow"] == "" != digests["/etc/passwd"]
    # dpkg and its hooks write the rest: two archives that lie where they were made, with their trees, and caches.
    assert {path for path in changes if not path.startswith(("/netbase.", "/example.", "/var/", "/etc/ld.so"))} == {
        "/etc/issue",
        "/srv/site",
    }


@pytest.mark.root
def test_packages_are_those_that_dpkg_names_inside(disk: Path, mounted_root: Path) -> None:
    answer = run("chroot", mounted_root, "dpkg-query", "--show", f"--showformat={QUESTION}").splitlines()
    rows = [row.split()[1:] for row in answer if row.startswith("installed ")]
    contents = read_disk(unbaked(disk), disk, SYFT)
    assert len(rows) > 150
    assert [[package.name, package.version, package.architecture, package.source] for package in contents.packages] == (
        sorted(rows)
    )
    assert contents.kernels == tuple(path.name for path in (mounted_root / "usr/lib/modules").iterdir())
    lists = (mounted_root / "var/lib/apt/lists").glob("*_InRelease")
    assert sorted(state.sha256 for state in contents.archives) == sorted(map(files.sha256, lists))
    archives = {f"{state.uri} {state.suite}/main" for state in contents.archives}
    assert {package.archive for package in contents.packages} <= archives
    for name, document in read_sboms(disk).items():
        assert list_packages(name, document) == {(row[0], row[1], row[2]) for row in rows}, name


def test_contents_name_what_boots_and_come_out_equal(disk: Path) -> None:
    contents = read_disk(unbaked(disk), disk, SYFT)
    assert contents.os == "Debian GNU/Linux 13 (trixie)"
    assert {"EFI/BOOT/BOOTX64.EFI", "loader/loader.conf"} < {file.path for file in contents.boot}
    (kernel,) = contents.kernels
    assert any(file.path.endswith(f"{kernel}/linux") for file in contents.boot)
    first = disk.with_name(DATABASE).read_bytes()
    with tarfile.open(disk.with_name(DATABASE)) as archive:
        assert {"var/lib/dpkg/status", "etc/apt/sources.list"} < set(archive.getnames())
    assert read_disk(unbaked(disk), disk, SYFT) == contents
    assert disk.with_name(DATABASE).read_bytes() == first


@pytest.mark.root
def test_a_running_machine_packs_what_its_disk_has(disk: Path, mounted_root: Path, tmp_path: Path) -> None:
    """As a build at a target does. Only files that are read: the machine packs no login of its own."""
    build = build_at_aws()
    archive = tmp_path / "build" / ROOT_ARCHIVE
    archive.parent.mkdir()
    expected = read_disk(unbaked(disk), disk, SYFT)
    with disk_image.as_raw(disk) as raw:
        (esp,) = boot.copy_partitions(raw, tmp_path).values()
    run("mount", "--bind", esp, mounted_root / "boot/efi")
    try:
        with PACK.open() as script, archive.open("wb") as stream:
            subprocess.run(["chroot", mounted_root, "sh", "-s"], stdin=script, stdout=stream, check=True)
    finally:
        run("umount", mounted_root / "boot/efi")
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
    assert not [name for name in names if name.startswith(("./etc/shadow", "./etc/ssh/", "./boot/vmlinuz"))]
    contents = read_archive(build, archive, SYFT)
    assert [replace(package, archive="") for package in contents.packages] == (
        [replace(package, archive="") for package in expected.packages]
    )
    assert (contents.kernels, contents.boot, contents.os) == (expected.kernels, expected.boot, expected.os)
    assert (contents.sha256, contents.size) == (build.identity, None)
    for name, document in read_sboms(archive).items():
        assert list_packages(name, document) == list_packages(name, read_sboms(disk)[name])
    cyclonedx = read_sboms(archive)["cyclonedx"]["metadata"]["component"]
    assert cyclonedx["properties"] == [{"name": "bakery:image:eu-central-1", "value": "ami-1"}]
    assert "hashes" not in cyclonedx, "no digest of bytes that nobody has seen"
    assert (expected.content_digest != "", contents.content_digest) == (True, ""), "nor of files that were left out"


def test_a_build_whose_machine_packed_nothing_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="packed no files"):
        read_archive(build_at_aws(), tmp_path / ROOT_ARCHIVE, SYFT)


def copy_disk(tree: Path, folder: Path, old: bytes = b"", new: bytes = b"") -> Path:
    """A copy of a disk with a tree, in which a name or the target of a link was replaced."""
    write_disk(tree, folder / "disk.qcow2")
    with disk_image.as_raw(folder / "disk.qcow2") as raw:
        content = raw.read_bytes()
        assert old in content
        raw.write_bytes(content.replace(old, new) if old else content)
        root = root_of(raw)
        assert root
        copy_root(root, folder / "copy")
    return folder / "copy"


def test_a_copy_leaves_folders_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("boot/linux", "usr/lib/modules/6.1/a.ko", "usr/lib/python3/b", "usr/share/c", "d"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    (tree / "lib").symlink_to("usr/lib")
    (tree / "d").chmod(0o4777)
    (tree / "usr/share").chmod(0o500)
    copy = copy_disk(tree, tmp_path)
    paths = [path for path in copy.rglob("*") if path.is_symlink() or path.is_file()]
    assert {path.relative_to(copy).as_posix() for path in paths} == {"usr/lib/python3/b", "usr/share/c", "d", "lib"}
    assert (copy / "usr/share/c").read_text() == "usr/share/c"
    assert (copy / "lib").readlink() == Path("usr/lib")
    assert [os.access(copy / name, os.X_OK) for name in ("d", "usr/share/c")] == [True, False]
    assert [path.stat().st_mode & 0o7777 for path in (copy, copy / "usr/share", copy / "d")] == [0o700] * 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"escape_name", b"../../x/../y"[:11]),
        (b"second_link", b"a_link_here"),
        (b"escape_name", b"escape\0name"),
        (b"target_of_link", b"target\0of_link"),
    ],
    ids=["path", "twice", "zero", "target"],
)
def test_a_copy_stays_in_its_folder(tmp_path: Path, old: bytes, new: bytes) -> None:
    """A disk can have any name in a folder, also one of a link that it has already, and any target of a link."""
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    outside.mkdir()
    (tree / "second_link").mkdir(parents=True)
    (tree / "second_link" / "stolen").write_text("x")
    (tree / "escape_name").write_text("x")
    (tree / "a_link_here").symlink_to(outside)
    (tree / "another_link").symlink_to("target_of_link")
    with pytest.raises(UnreadableError, match="the file system is damaged"):
        copy_disk(tree, tmp_path, old, new)
    assert not any(outside.iterdir())
    assert {path.name for path in tmp_path.iterdir()} <= {"tree", "outside", "disk.qcow2", "disk.raw", "copy"}


def install_rpm(tree: Path, folder: Path, name: str, version: str) -> None:
    """Build a package and write it to the database of a root."""
    spec = folder / f"{name}.spec"
    spec.write_text(SPEC.format(name=name, version=version))
    run("rpmbuild", "--quiet", "-bb", "--define", f"_topdir {folder / name}", spec)
    (package,) = (folder / name).rglob("*.rpm")
    run("rpm", "--root", tree, "--dbpath", "/var/lib/rpm", "--install", "--justdb", "--nodeps", package)


def test_packages_are_those_that_rpm_names(tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.qcow2"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/os-release").write_text('NAME="Example"\nPRETTY_NAME="Example Linux 9"\n')
    install_rpm(tree, tmp_path, "openssl", "3.0.7")
    install_rpm(tree, tmp_path, "bash", "5.1.8")
    write_disk(tree, disk)
    contents = read_disk(unbaked(disk), disk, SYFT)
    assert contents.packages == (
        Package("bash", "5.1.8-1", "noarch", "bash", "Example"),
        Package("openssl", "3.0.7-1", "noarch", "openssl", "Example"),
    )
    assert (contents.os, contents.kernels, contents.boot) == ("Example Linux 9", (), ())
    names = {("bash", "5.1.8-1", "noarch"), ("openssl", "3.0.7-1", "noarch")}
    assert [list_packages(name, document) for name, document in read_sboms(disk).items()] == [names, names]


def test_bills_of_materials_name_the_disk_and_what_python_has(tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.qcow2"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").touch()
    (tree / "etc").mkdir()
    (tree / "etc/os-release").write_text("ID=debian\n")
    metadata = tree / "opt/app/lib/python3.11/site-packages/example-1.2.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.2\n")
    write_disk(tree, disk)
    artifact = unbaked(disk)
    read_disk(artifact, disk, SYFT)
    cyclonedx, spdx = read_sboms(disk).values()
    assert (cyclonedx["specVersion"], spdx["spdxVersion"]) == ("1.6", "SPDX-2.3")
    purls = [component["purl"] for component in cyclonedx["components"] if component["type"] == "library"]
    assert purls == ["pkg:pypi/example@1.2"]
    assert cyclonedx["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": artifact.disk.sha256}]
    (root,) = (package for package in spdx["packages"] if package["name"] == artifact.image)
    assert root["checksums"] == [{"algorithm": "SHA256", "checksumValue": artifact.disk.sha256}]
    first = [sbom_path(disk.parent, name).read_bytes() for name in SBOM_SUFFIXES]
    read_disk(artifact, disk, SYFT)
    assert [sbom_path(disk.parent, name).read_bytes() for name in SBOM_SUFFIXES] == first


def test_passwords_of_archives_are_not_kept(tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.qcow2"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").touch()
    (tree / "etc/apt/auth.conf.d").mkdir(parents=True)
    for name in ("auth.conf", "auth.conf.d/internal.conf", "sources.list"):
        (tree / "etc/apt" / name).write_text("machine archive.example login x password y")
    (tree / "etc/os-release").write_text("ID=debian\n")
    write_disk(tree, disk)
    read_disk(unbaked(disk), disk, SYFT)
    with tarfile.open(disk.with_name(DATABASE)) as archive:
        assert [name for name in archive.getnames() if "/apt/" in name] == ["etc/apt/sources.list"]


def test_packages_of_no_distribution_are_unreadable(tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.qcow2"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").touch()
    write_disk(tree, disk)
    with pytest.raises(UnreadableError, match="no os-release file"):
        read_disk(unbaked(disk), disk, SYFT)


def test_a_disk_without_packages_is_said_to_be_unreadable(tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.qcow2"
    tree.mkdir()
    write_disk(tree, disk)
    with pytest.raises(UnreadableError, match="neither dpkg's nor rpm's database"):
        read_disk(unbaked(disk), disk, SYFT)
