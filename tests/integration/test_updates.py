"""What a bake brings, in chroot mode: updates of a local archive, and a kernel of Debian's security archive."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds import definitions
from bakery.contents import boot, read_disk
from bakery.engine import toolbox
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import silent
from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import root_of
from bakery.model.contents import ARCHIVES_REPORT
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Updates
from bakery.model.project import Project
from bakery.verify import verify
from doubles.apt_archive import PIN_TASK, PINNED, AptArchive, apt_archive
from integration.bases import RECIPE, prepare_base
from integration.test_contents import SYFT

pytestmark = [pytest.mark.integration, pytest.mark.root]

ROOT = Path(__file__).parents[2]
FIXED, PLAIN, HELD = "bakery-fixed", "bakery-plain", "bakery-held"
USER = "login-of-the-archive"
PACKAGES = (FIXED, PLAIN, HELD, PINNED)
DEFINITION = """\
name: {name}
description: A test
os: {os}
arch: x86_64
version: "1.0"
mode: chroot
tests: [base]
base: {{qemu: {{image: {system}}}}}
updates: {updates}
software: {{roles: [{roles}]}}
"""
# The machine knows the archive alone, so that nothing of the world changes between two bakes.
SUBSCRIBE = """\
- name: Add the key
  ansible.builtin.copy: {{dest: /etc/apt/keyrings/test.asc, content: {key}, mode: "0644"}}
- name: Add the archive
  ansible.builtin.copy:
    dest: /etc/apt/sources.list
    mode: "0644"
    content: |
      deb [signed-by=/etc/apt/keyrings/test.asc] {source} test main
      deb [signed-by=/etc/apt/keyrings/test.asc] {source} test-security main
- name: Install packages
  ansible.builtin.apt: {{name: [{packages}], cache_valid_time: 0}}
- name: Hold one
  ansible.builtin.dpkg_selections: {{name: bakery-held, selection: hold}}
{pin}- name: Change a configuration file
  ansible.builtin.copy: {{dest: /etc/bakery-fixed.conf, content: changed, mode: "0644"}}
"""


# Not GRUB itself: the file by which a disk is known to boot with it.
GRUB = """\
- name: Make GRUB's folder
  ansible.builtin.file: {path: /boot/grub, state: directory, mode: "0755"}
- name: Write GRUB's configuration
  ansible.builtin.copy: {dest: /boot/grub/grub.cfg, content: "", mode: "0644"}
"""
# The base is made without this archive. Debian 12 gets no more point releases, so the newer kernel stays here.
SECURITY = """
key=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$key] http://deb.debian.org/debian-security bookworm-security main" >>"$root/etc/apt/sources.list"
"""


class Bench:
    """Bakes definitions in chroot mode in a project of its own."""

    def __init__(self, folder: Path, system: str) -> None:
        for name in ("ansible", "packer"):
            shutil.copytree(ROOT / name, folder / "project" / name)
        shutil.rmtree(folder / "project" / "packer" / "images")
        self.project = Project(folder / "project", folder / "project" / "packer" / "images", folder / "workspace")
        self.project.definitions.mkdir()
        self._system = system
        self._toolchain = toolbox.toolchain(self.project)

    def write_role(self, name: str, tasks: str) -> None:
        role = self.project.root / "ansible" / "roles" / name
        for path, text in {"tasks/main.yml": tasks, "meta/bakery.yml": "modes: [chroot]\n"}.items():
            (role / path).parent.mkdir(parents=True, exist_ok=True)
            (role / path).write_text(text)

    def bake(self, name: str, updates: Updates, roles: str = "", on: BaseDisk | None = None, os: str = "") -> Artifact:
        """Bake a definition; `on` and `os` take the place of its parent and of the OS that it says it is."""
        uses = f"{{name: {roles}}}" if roles else ""
        text = DEFINITION.format(name=name, os=os or self._system, system=self._system, updates=updates, roles=uses)
        (self.project.definitions / f"{name}.yaml").write_text(text)
        context = BakeContext(self.project, self._toolchain, None, silent)
        return bake(BakeRequest(self.load(name), "1.0.0", {}, "k" * 64), on or prepare_base(self._system), context)

    def load(self, name: str) -> ImageDefinition:
        base = f"{self._system}.yaml"
        shutil.copyfile(ROOT / "packer" / "images" / base, self.project.definitions / base)
        return definitions.load(self.project.definitions).images[name]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), "debian-13")


@pytest.fixture(scope="module")
def old_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("old-bench"), "debian-12")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AptArchive]:
    with apt_archive(tmp_path_factory.mktemp("archive")) as archive:
        yield archive


@pytest.fixture(scope="module")
def first(bench: Bench, archive: AptArchive) -> Artifact:
    """An image with version 1 of each package. Afterwards the archive has newer versions of all."""
    archive.sign_suite("test-security")
    for name in PACKAGES:
        archive.add_package("test", name, "1")
    source = archive.uri.replace("://", f"://{USER}:password@")
    tasks = SUBSCRIBE.format(key=json.dumps(archive.key), source=source, packages=", ".join(PACKAGES), pin=PIN_TASK)
    bench.write_role("subscribe", tasks)
    artifact = bench.bake("first", "none", roles="subscribe")
    for name in (FIXED, HELD, PINNED):
        archive.add_package("test-security", name, "2")
    archive.add_package("test", FIXED, "3")
    archive.add_package("test", PLAIN, "2")
    return artifact


def as_base(artifact: Artifact) -> BaseDisk:
    sha256 = artifact.disk.sha256
    return BaseDisk(Path(artifact.disk.path), Base(artifact.image, artifact.version, sha256), sha256)


def read_versions(artifact: Artifact) -> dict[str, str]:
    """Packages of the image by name, as its package database has them."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        root = root_of(raw)
        assert root
        status = root.read("/var/lib/dpkg/status")
    entries = (
        dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line) for entry in status.split("\n\n")
    )
    return {entry["Package"]: entry["Version"] for entry in entries if "Package" in entry}


def read_text(artifact: Artifact, path: str) -> str:
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        root = root_of(raw)
        assert root
        return root.read(path)


@pytest.mark.parametrize(
    ("updates", "changes"),
    [
        ("all", {FIXED: "3", PLAIN: "2"}),
        ("security", {FIXED: "2"}),
        ("none", {}),
    ],
)
def test_a_bake_brings_exactly_the_updates(
    bench: Bench, first: Artifact, updates: Updates, changes: dict[str, str]
) -> None:
    artifact = bench.bake(f"second-{updates}", updates, on=as_base(first))
    before, after = read_versions(first), read_versions(artifact)
    assert {name: version for name, version in after.items() if before.get(name) != version} == changes
    assert before.keys() == after.keys()
    assert read_text(artifact, "/etc/bakery-fixed.conf") == "changed", "a changed configuration file stays"
    assert read_text(artifact, "/etc/bakery-fixed.conf.dpkg-dist").strip() == changes.get(FIXED, "")


def test_contents_name_the_archives_of_a_bake(bench: Bench, first: Artifact, archive: AptArchive) -> None:
    lists = {name: archive.signed_list(name) for name in ("test", "test-security")}
    artifact = bench.bake("archives", "security", on=as_base(first))
    disk = Path(artifact.disk.path)
    contents = read_disk(artifact, disk, SYFT)
    assert {state.suite: state.sha256 for state in contents.archives} == {
        name: hashlib.sha256(text).hexdigest() for name, text in lists.items()
    }
    assert [(state.uri, state.components) for state in contents.archives] == [(archive.uri, ("main",))] * 2
    (date,) = {state.date[:10] for state in contents.archives}
    assert date == artifact.created[:10]
    offers = {package.name: package.archive for package in contents.packages if package.name.startswith("bakery-")}
    assert offers == {
        FIXED: f"{archive.uri} test-security/main",
        PLAIN: f"{archive.uri} test/main",
        HELD: f"{archive.uri} test/main",
        PINNED: f"{archive.uri} test/main",
    }
    assert {package.archive for package in contents.packages if package.name == "dpkg"} == {""}
    assert USER not in disk.with_name(ARCHIVES_REPORT).read_text()
    assert read_text(artifact, "/etc/apt/sources.list").count(USER) == 2


def test_grub_in_a_chroot_is_refused(bench: Bench) -> None:
    bench.write_role("grub", GRUB)
    base = as_base(bench.bake("grub", "none", roles="grub"))
    with pytest.raises(BakeryError, match="GRUB cannot follow a new kernel in a chroot"):
        bench.bake("grub-child", "all", on=base)


@pytest.fixture(scope="module")
def point_release(tmp_path_factory: pytest.TempPathFactory) -> BaseDisk:
    """A base made from the release alone, which looks for updates in the security archive."""
    recipe = tmp_path_factory.mktemp("recipe") / "debian"
    shutil.copytree(RECIPE, recipe)
    settings, customize = recipe / "recipe.toml", recipe / "customize.sh"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if "{suite}-" not in line))
    customize.write_text(customize.read_text() + SECURITY)
    return prepare_base("debian-12", recipe)


@pytest.fixture(scope="module")
def patched(old_bench: Bench, point_release: BaseDisk) -> Artifact:
    return old_bench.bake("patched", "all", on=point_release)


def read_boot_folder(artifact: Artifact, folder: Path) -> dict[str, str]:
    """SHA-256 of the kernels and initial RAM disks in /boot, by name."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        root = root_of(raw)
        assert root
        root.copy(["/boot"], folder)
    names = ("vmlinuz-*", "initrd.img-*")
    return {path.name: files.sha256(path) for name in names for path in (folder / "boot").glob(name)}


def read_boot_entry(artifact: Artifact, name: str) -> dict[str, str]:
    """The settings of a boot entry on the EFI system partition."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        esp, _ = disk_image.partitions(raw)
        command = ["mtype", "-i", f"{raw}@@{esp.start}", f"::loader/entries/{name}"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line and line[0] != "#")


def test_a_new_kernel_takes_the_place_of_the_old_one(
    point_release: BaseDisk, patched: Artifact, tmp_path: Path
) -> None:
    with disk_image.as_raw(point_release.path) as raw:
        root = root_of(raw)
        assert root
        (old,) = boot.list_kernels(root)
    contents = read_disk(patched, Path(patched.disk.path), SYFT)
    (new,) = contents.kernels
    assert new != old, "the security archive has a newer kernel"
    names = {package.name for package in contents.packages if package.name.startswith("linux-image-")}
    assert names == {"linux-image-cloud-amd64", f"linux-image-{new}"}
    linux, initrd, entry = f"debian/{new}/linux", f"debian/{new}/initrd.img-{new}", f"debian-{new}.conf"
    on_esp = {file.path: file.sha256 for file in contents.boot}
    assert {path for path in on_esp if "debian" in path} == {linux, initrd, f"loader/entries/{entry}"}
    assert read_boot_folder(patched, tmp_path) == {f"vmlinuz-{new}": on_esp[linux], f"initrd.img-{new}": on_esp[initrd]}
    settings = read_boot_entry(patched, entry)
    assert (settings["linux"], settings["initrd"]) == (f"/{linux}", f"/{initrd}")
    assert "root=LABEL=root" in settings["options"]


@pytest.mark.soak  # a minute of a guest; the test before it reads the same disk
@pytest.mark.guest
def test_a_disk_with_a_new_kernel_boots(old_bench: Bench, patched: Artifact) -> None:
    verdict = verify(old_bench.project, old_bench.load("patched"), patched, Path(patched.disk.path), [], silent)
    assert [check for check in verdict.checks if not check.passed] == []
