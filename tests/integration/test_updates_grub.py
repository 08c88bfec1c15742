"""A new kernel on a disk that boots with GRUB, as vendors' disks do: baked in a guest, which runs the old kernel."""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery.contents import DOCUMENT, boot
from bakery.host import files
from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem, root_of
from bakery.model import documents
from bakery.model.contents import Contents
from doubles.serving import at_work
from integration.bases import RECIPE, prepare_base
from integration.clones import copy_project, run_bakery

# A bake in a guest, and a boot. `make test` has the same tasks in a chroot with another boot loader: test_updates.py.
pytestmark = [pytest.mark.integration, pytest.mark.soak, pytest.mark.guest]

SECONDS = 3600.0  # of one command, on a machine with much other work
DEFINITION = """\
name: cloud
description: A vendor's disk with its updates
os: debian-12
arch: x86_64
version: "1.0"
base: {{qemu: {{url: {url}, sha256: {sha256}}}}}
tests: [cloud, kernel]
targets: [local]
"""
IMAGE_TEST = '''\
"""The machine runs the only kernel of its disk, which GRUB started."""

from testinfra.host import Host


def test_the_only_kernel_runs(host: Host) -> None:
    assert host.check_output("ls /usr/lib/modules") == host.check_output("uname -r")
    assert "BOOT_IMAGE=/boot/vmlinuz-" in host.check_output("cat /proc/cmdline")
'''
# grub-install needs the device of the root file system, which a disk made without a mount does not have. Its files: the
# signed loaders, where firmware without boot variables looks, and the way from them to the root file system.
INSTALL_GRUB = """\
esp="$root/boot/efi"
kernel="$(basename "$root"/boot/vmlinuz-*)"
kernel="${kernel#vmlinuz-}"
mkdir -p "$esp/EFI/BOOT" "$esp/EFI/debian" "$root/boot/grub"
cp "$root/usr/lib/shim/shimx64.efi.signed" "$esp/EFI/BOOT/BOOTX64.EFI"
cp "$root/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" "$esp/EFI/BOOT/grubx64.efi"
cat >"$esp/EFI/debian/grub.cfg" <<'END'
search.fs_uuid ROOT_UUID root
set prefix=($root)'/boot/grub'
configfile $prefix/grub.cfg
END
cat >"$root/boot/grub/grub.cfg" <<END
search --no-floppy --fs-uuid --set=root ROOT_UUID
linux /boot/vmlinuz-$kernel root=UUID=ROOT_UUID ro console=ttyS0,115200
initrd /boot/initrd.img-$kernel
boot
END
"""


@pytest.fixture(scope="module")
def vendor_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk like Debian's generic cloud image, with the kernel of the release; all else is up to date.

    Debian 12 gets no more point releases, so the newer kernel stays in the security archive.
    """
    recipe = tmp_path_factory.mktemp("recipe") / "debian"
    shutil.copytree(RECIPE, recipe)
    shutil.rmtree(recipe / "rootfs" / "etc" / "kernel")  # for systemd-boot
    settings, customize = recipe / "recipe.toml", recipe / "customize.sh"
    packages = '"linux-image-cloud-amd64/bookworm",\n  "grub-cloud-amd64"'
    text = re.sub(r'  "systemd-boot.*\n', "", settings.read_text())
    settings.write_text(text.replace('"linux-image-cloud-amd64"', packages))
    root_uuid = re.search(r'root_uuid = "(.+)"', text)
    assert root_uuid
    others, _, _ = customize.read_text().partition("# The EFI system partition")
    customize.write_text(others + INSTALL_GRUB.replace("ROOT_UUID", root_uuid[1]))
    return prepare_base("debian-12", recipe).path


@pytest.fixture(scope="module")
def old_kernel(vendor_disk: Path) -> str:
    with disk_image.as_raw(vendor_disk) as raw:
        root = root_of(raw)
        assert root
        (kernel,) = boot.list_kernels(root)
    return kernel


@pytest.fixture(scope="module")
def project(project_root: Path, vendor_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one image, baked on the vendor's disk, which came over HTTP."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(project_root, folder)
    shutil.rmtree(folder / "packer" / "images")
    (folder / "packer" / "images").mkdir()
    (folder / "packer" / "tests" / "test_kernel.py").write_text(IMAGE_TEST)
    handler = partial(SimpleHTTPRequestHandler, directory=str(vendor_disk.parent))
    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        url = f"http://127.0.0.1:{server.server_port}/{vendor_disk.name}"
        definition = DEFINITION.format(url=url, sha256=files.sha256(vendor_disk))
        (folder / "packer" / "images" / "cloud.yaml").write_text(definition)
        run_bakery(folder, "bake", code=0, seconds=SECONDS)
    return folder


@pytest.fixture(scope="module")
def artifact(project: Path) -> Path:
    """The folder of the disk and its documents."""
    (folder,) = (project / ".bakery" / "artifacts").glob("cloud-*")
    return folder


@pytest.fixture(scope="module")
def contents(artifact: Path) -> Contents:
    return documents.load(Contents, artifact / DOCUMENT)


@pytest.fixture(scope="module")
def new_kernel(contents: Contents, old_kernel: str) -> str:
    """The kernel that the security archive has."""
    (kernel,) = {*contents.kernels} - {old_kernel}
    return kernel


@pytest.fixture(scope="module")
def root(artifact: Path) -> Iterator[FileSystem]:
    """The root file system of the sealed disk."""
    with disk_image.as_raw(artifact / "disk.qcow2") as raw:
        found = root_of(raw)
        assert found
        yield found


def test_the_guest_of_the_bake_ran_the_old_kernel(project: Path, old_kernel: str) -> None:
    (console,) = (project / ".bakery" / "logs").glob("*.console")
    assert set(re.findall(r"Linux version (\S+)", console.read_text(errors="replace"))) == {old_kernel}


def test_contents_have_the_new_kernel_only(contents: Contents, new_kernel: str) -> None:
    assert contents.kernels == (new_kernel,)
    names = {package.name for package in contents.packages if package.name.startswith("linux-image-")}
    assert names == {"linux-image-cloud-amd64", f"linux-image-{new_kernel}"}


def test_grub_starts_the_new_kernel_only(root: FileSystem, new_kernel: str) -> None:
    settings = root.read("/boot/grub/grub.cfg")
    assert "generated by grub-mkconfig" in settings
    names = {f"vmlinuz-{new_kernel}", f"initrd.img-{new_kernel}"}
    assert set(re.findall(r"/boot/((?:vmlinuz|initrd)\S+)", settings)) == names
    assert {entry.name for entry in root.list("/boot") if entry.name.startswith(("vmlinuz", "initrd"))} == names


def test_the_disk_boots_the_new_kernel(project: Path, new_kernel: str) -> None:
    run_bakery(project, "verify", code=0, seconds=SECONDS)
    (console,) = (project / ".bakery" / "logs").glob("*-verify-*/serial.log")
    assert f"Linux version {new_kernel} " in console.read_text(errors="replace")
