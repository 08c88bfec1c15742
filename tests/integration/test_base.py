"""Bases with the real tools: mmdebstrap, mke2fs, mtools, QEMU."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import silent
from bakery.layers import archive_lists, debian
from bakery.layers.base import prepare
from bakery.machine import disk_image, qemu
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import ROOT_TYPE, FileSystem, root_of
from bakery.model.bases import Debootstrap, QemuBase
from bakery.verify import hygiene
from doubles.disks import describe_disk
from doubles.serving import at_work
from integration.bases import RECIPE, SUITES, prepare_base

pytestmark = pytest.mark.integration

ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # UEFI specification, table of partition types


def tool(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", params=SUITES)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def base(system: str) -> BaseDisk:
    return prepare_base(system)


@pytest.fixture(scope="module")
def raw(base: BaseDisk) -> Iterator[Path]:
    with disk_image.as_raw(base.path) as found:
        yield found


@pytest.fixture(scope="module")
def root(raw: Path) -> FileSystem:
    found = root_of(raw)
    assert found
    return found


def test_firmware_finds_a_loader_a_kernel_and_the_root(raw: Path, root: FileSystem) -> None:
    esp, last = disk_image.partitions(raw)
    assert (esp.type, last.type) == (ESP_TYPE, ROOT_TYPE)
    image = f"{raw}@@{esp.start}"
    names = {line.removeprefix("::") for line in tool("mdir", "-/", "-b", "-i", image, "::").split()}
    assert {"/EFI/BOOT/BOOTX64.EFI", "/EFI/systemd/systemd-bootx64.efi", "/loader/loader.conf"} <= names
    (entry,) = [name for name in names if name.startswith("/loader/entries/debian-")]
    settings = dict(
        line.split(maxsplit=1) for line in tool("mtype", "-i", image, f"::{entry}").splitlines() if " " in line
    )
    assert {settings["linux"], settings["initrd"]} <= names
    assert "root=LABEL=root" in settings["options"]
    assert root.list("/boot/efi") == []


def test_the_root_file_system_is_sound(raw: Path, root: FileSystem) -> None:
    assert " clean" not in tool("e2fsck", "-f", "-n", f"{raw}?offset={root.partition.start}")
    assert root.find("/etc/passwd")


def test_it_carries_what_a_bake_needs(system: str, root: FileSystem) -> None:
    assert root.find("/usr/lib/python3/dist-packages/apt")
    assert any(entry.name.endswith("_Packages") for entry in root.list("/var/lib/apt/lists"))
    assert not any("Translation" in entry.name for entry in root.list("/var/lib/apt/lists"))
    assert "127.0.1.1 debian" in root.read("/etc/hosts")
    assert f"{SUITES[system]}-security" in root.read("/etc/apt/sources.list")
    assert "datasource_list" in root.read("/etc/cloud/cloud.cfg.d/90_bakery.cfg")


def test_it_is_clean(raw: Path) -> None:
    assert [check for check in hygiene.check(raw, hygiene.RULES) if not check.passed] == []


def test_apt_names_beforehand_what_is_installed(system: str, root: FileSystem, tmp_path: Path) -> None:
    """A few more may be named: packages that are there only in the course of an installation."""
    (tmp_path / "status").write_text(root.read("/var/lib/dpkg/status"))
    shown = tool("dpkg-query", f"--admindir={tmp_path}", "-W", "-f", "${Package} ${Version} ${Architecture}\\n")
    resolved = debian.resolve(Debootstrap(suite=SUITES[system]), RECIPE)
    installed = set(shown.splitlines())
    assert installed <= set(resolved)
    assert len(resolved) - len(installed) < 5


def test_it_is_found_again_without_any_tool(system: str, base: BaseDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert prepare_base(system) == base


def test_a_digest_of_the_content_is_one_for_all_formats(base: BaseDisk, raw: Path) -> None:
    disk = describe_disk(base.path)[0]
    assert disk.raw_sha256 == files.sha256(raw)
    assert disk.virtual_size == raw.stat().st_size


def test_a_compressed_disk_is_not_read_in_place(base: BaseDisk, tmp_path: Path) -> None:
    small = tmp_path / "small.qcow2"
    subprocess.run(["qemu-img", "convert", "-c", "-f", "qcow2", "-O", "qcow2", base.path, small], check=True)
    assert small.stat().st_size < base.path.stat().st_size / 2
    with pytest.raises(BakeryError, match="does not have all bytes of its disk as they are"):
        disk_image.qcow2_layout(small)


def test_emulation_proves_itself_as_kvm_has_to() -> None:
    assert qemu.runs_on("tcg")
    assert not qemu.runs_on("no-such-accelerator")


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A file server: its address and its folder."""
    folder = tmp_path / "vendor"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))) as server:
        yield f"http://127.0.0.1:{server.server_port}", folder


def fetch(vendor: tuple[str, Path], name: str, cache: Path) -> BaseDisk:
    address, folder = vendor
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return prepare(QemuBase(url=f"{address}/{name}", sha256=digest), cache, cache / "no-recipe", silent)


def test_a_vendors_packed_image_becomes_a_plain_one(vendor: tuple[str, Path], tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(1 << 20) + bytes(7 << 20))
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", source, vendor[1] / "packed.img")
    disk = fetch(vendor, "packed.img", tmp_path / "cache")
    assert describe_disk(disk.path)[0].raw_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert "compressed" not in tool("qemu-img", "map", "--output=json", disk.path).replace('"compressed": false', "")


@pytest.mark.parametrize("options", [["-b", "outside.raw", "-F", "raw"], ["-o", "data_file=outside.raw"]])
def test_a_vendors_image_cannot_take_in_files_of_ours(
    vendor: tuple[str, Path], tmp_path: Path, options: list[str]
) -> None:
    (vendor[1] / "outside.raw").write_bytes(b"secret of the host".ljust(1 << 20))
    image = vendor[1] / "trap.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, image, "1M"], check=True, cwd=vendor[1])
    with pytest.raises(BakeryError):
        fetch(vendor, "trap.qcow2", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("disk.qcow2"))


class Redirect(BaseHTTPRequestHandler):
    """Sends apt from `dated/` to Debian's archives."""

    def do_GET(self) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", f"http://deb.debian.org{self.path.removeprefix('/dated')}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.mark.soak  # minutes to make two bases; tests/unit/bakery/layers/test_debian.py shows what the tools are told
def test_two_builds_of_one_archive_are_equal_bit_for_bit(system: str, tmp_path: Path) -> None:
    """In folders of other names, one after the other."""
    spec = Debootstrap(suite=SUITES[system])
    clock = archive_lists.read_clock(spec, RECIPE)
    disks = [tmp_path / "first" / "disk.qcow2", tmp_path / "second" / "deeper" / "disk.qcow2"]
    for disk in disks:
        disk.parent.mkdir(parents=True)
        debian.build(spec, RECIPE, disk, disk.with_suffix(".log"), silent, debian.UNDATED, clock)
    if archive_lists.read_clock(spec, RECIPE) != clock:
        pytest.skip("an archive changed between the two builds")
    first, second = map(files.sha256, disks)
    assert first == second


@pytest.mark.soak  # two minutes to make a base; tests/unit/bakery/layers/test_debian.py shows what mmdebstrap is told
def test_a_base_from_dated_archives_names_its_own(tmp_path: Path, project_root: Path) -> None:
    recipe = project_root / "packer" / "base" / "debian"
    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), Redirect)) as server:
        uri = f"http://127.0.0.1:{server.server_port}/dated"
        archives = {f"http://deb.debian.org/{name}": f"{uri}/{name}" for name in ("debian", "debian-security")}
        base = prepare(QemuBase(debootstrap=Debootstrap(suite="bookworm")), tmp_path, recipe, silent, archives)
    with disk_image.as_raw(base.path) as raw:
        root = root_of(raw)
        assert root
        lines = root.read("/etc/apt/sources.list").splitlines()
        lists = [entry.name for entry in root.list("/var/lib/apt/lists") if entry.name.endswith("_Packages")]
    spec = Debootstrap(suite="bookworm")
    assert lines == [source.line for source in debian.list_sources(spec, recipe)]
    assert len(lists) == 3
    assert all(name.startswith("127.0.0.1:") for name in lists)
