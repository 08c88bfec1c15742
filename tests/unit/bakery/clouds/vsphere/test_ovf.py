"""The OVF descriptor: well formed, and with hardware that the system has drivers for."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bakery.clouds.vsphere import ovf
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.machine.block_stream import describe_image, digest_disk, open_raw
from bakery.model.documents import Disk
from doubles.programs import Programs

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
VMW = "{http://www.vmware.com/schema/ovf}"


def envelope(os: str) -> ElementTree.Element:
    return ElementTree.fromstring(ovf.describe("web-1.0.0-x86_64", os, 4 << 30, 1234))


def test_the_disk() -> None:
    found = envelope("debian-12")
    (file,), (disk,) = found.iter(f"{OVF}File"), found.iter(f"{OVF}Disk")
    assert (file.get(f"{OVF}href"), file.get(f"{OVF}size")) == ("web-1.0.0-x86_64.vmdk", "1234")
    assert disk.get(f"{OVF}fileRef") == file.get(f"{OVF}id")
    assert (disk.get(f"{OVF}capacity"), disk.get(f"{OVF}capacityAllocationUnits")) == (str(4 << 30), "byte")
    assert str(disk.get(f"{OVF}format")).endswith("#streamOptimized")


@pytest.mark.parametrize(
    ("os", "guest", "controller", "network"),
    [
        ("debian-12", "debian11_64Guest", "VirtualSCSI", "VmxNet3"),
        ("ubuntu-24.04", "ubuntu64Guest", "VirtualSCSI", "VmxNet3"),
        ("rocky-9", "rhel9_64Guest", "VirtualSCSI", "VmxNet3"),
        ("windows-2022", "windows2019srvNext_64Guest", "lsilogicsas", "E1000e"),
        ("alpine-3.20", "otherLinux64Guest", "VirtualSCSI", "VmxNet3"),
    ],
)
def test_the_hardware(os: str, guest: str, controller: str, network: str) -> None:
    found = envelope(os)
    (system,) = found.iter(f"{OVF}OperatingSystemSection")
    assert system.get(f"{VMW}osType") == guest
    kinds = {item.findtext(f"{RASD}ResourceType"): item for item in found.iter(f"{OVF}Item")}
    assert kinds["6"].findtext(f"{RASD}ResourceSubType") == controller
    assert kinds["10"].findtext(f"{RASD}ResourceSubType") == network
    assert kinds["17"].findtext(f"{RASD}Parent") == kinds["6"].findtext(f"{RASD}InstanceID")
    numbers = [item.findtext(f"{RASD}InstanceID") for item in found.iter(f"{OVF}Item")]
    assert len(set(numbers)) == len(numbers)


def test_it_boots_by_uefi() -> None:
    settings = {node.get(f"{VMW}key"): node.get(f"{VMW}value") for node in envelope("debian-12").iter(f"{VMW}Config")}
    assert settings["firmware"] == "efi"


QEMU_IMG = """
case "$1" in
info) echo '{"format": "qcow2"}' ;;
convert) eval "target=\\${$#}"; shift $(($# - 2)); cp "$1" "$target" ;;
esac
"""


class TestPack:
    """With a qemu-img that copies: a disk's content is its bytes."""

    @pytest.fixture
    def disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
        Programs(tmp_path / "bin", monkeypatch).shell("qemu-img", QEMU_IMG)
        path = tmp_path / "disk.qcow2"
        path.write_bytes(b"a disk")
        return describe_image(path, files.sha256(path), digest_disk(open_raw(path)))

    def test_the_digest_is_of_the_file_that_is_sent(self, disk: Disk, tmp_path: Path) -> None:
        descriptor, packed = ovf.pack(disk, "web", "debian-12", tmp_path)
        assert (descriptor.path.name, packed.path.name) == ("web.ovf", "web.vmdk")
        for file in (descriptor, packed):
            assert file.sha256 == files.sha256(file.path)

    @pytest.mark.parametrize("other", [b"a risk", b"a disk\0"], ids=["other bytes", "another size"])
    def test_a_disk_that_was_replaced_after_its_test_is_not_packed(
        self, disk: Disk, tmp_path: Path, other: bytes
    ) -> None:
        Path(disk.path).write_bytes(other)
        with pytest.raises(BakeryError, match=r"the content of web\.vmdk is not that of the disk") as caught:
            ovf.pack(disk, "web", "debian-12", tmp_path)
        assert caught.value.detail.startswith(f"tested {disk.blocks}, 6 bytes")
