import json
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.host.process import ProcessError
from bakery.machine import disk_image
from bakery.machine.root import NoRootError, open_root
from doubles.programs import Programs

QEMU_IMG = """
case "$1" in
convert) eval "target=\\${$#}"; shift $(($# - 2)); cp "$1" "$target" ;;
info) echo '{"format": "vmdk", "virtual-size": 4}' ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(tmp_path / "bin", monkeypatch)


@pytest.mark.parametrize(("name", "option"), [("a.raw", "-f raw"), ("a.qcow2", "-f qcow2"), ("a.img", "-f vmdk")])
def test_only_a_name_that_says_nothing_lets_the_content_say_its_format(
    tmp_path: Path, programs: Programs, name: str, option: str
) -> None:
    programs.shell("qemu-img", QEMU_IMG)
    (tmp_path / name).write_bytes(b"QFI\xfb")
    with disk_image.as_raw(tmp_path / name) as raw:
        assert raw.read_bytes() == b"QFI\xfb"
    assert option in programs.calls("qemu-img")[-1]


@pytest.mark.parametrize("failing", ["convert", "check"])
def test_a_failed_conversion_leaves_the_old_file(tmp_path: Path, programs: Programs, failing: str) -> None:
    programs.shell("qemu-img", f'[ "$1" = {failing} ] && echo broken >&2 && exit 2\n{QEMU_IMG}')
    source, target = tmp_path / "a.raw", tmp_path / "b.qcow2"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    with pytest.raises(BakeryError) as failure:
        disk_image.to_qcow2(source, target)
    assert failure.value.detail == "broken"
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.raw", "b.qcow2", "bin"]


def test_partitions_are_in_bytes(tmp_path: Path, programs: Programs) -> None:
    entry = {"node": "disk.raw1", "start": 2048, "size": 10, "type": "abc-1", "uuid": "u"}
    table = {
        "partitiontable": {
            "device": "disk.raw",
            "sectorsize": 512,
            "partitions": [entry, {**entry, "node": "disk.raw14", "name": "root"}],
        }
    }
    programs.shell("sfdisk", f"echo '{json.dumps(table)}'")
    assert disk_image.partitions(tmp_path / "disk.raw") == [
        disk_image.Partition("", "ABC-1", 1 << 20, 5120, 1),
        disk_image.Partition("root", "ABC-1", 1 << 20, 5120, 14),
    ]


class TestDiskWithoutATable:
    """A file system on the whole disk, or a download that is no disk."""

    @pytest.fixture
    def raw(self, tmp_path: Path) -> Path:
        raw = tmp_path / "disk.raw"
        raw.write_bytes(bytes(4 << 20))
        return raw

    def test_it_has_no_partitions(self, raw: Path) -> None:
        assert disk_image.partitions(raw) == []

    def test_it_has_no_root(self, raw: Path) -> None:
        with pytest.raises(NoRootError, match="no partition of the disk has ext2"):
            open_root(raw)

    def test_a_file_that_is_not_there_is_another_matter(self, raw: Path) -> None:
        with pytest.raises(ProcessError):
            disk_image.partitions(raw.with_name("none.raw"))
