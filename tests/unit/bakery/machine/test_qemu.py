import hashlib
import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.host.errors import BakeryError
from bakery.machine import disk_image, qemu, ssh
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


class Host:
    """A host with a /dev/kvm and a QEMU whose version and probe result can be chosen."""

    def __init__(self, folder: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = folder / "cache" / "accelerator.json"
        self.boot = folder / "boot_id"
        self.boot.write_text("first\n")
        self.device = folder / "kvm"
        self.device.touch()
        self._programs = programs
        monkeypatch.setattr(qemu, "KVM", self.device)
        monkeypatch.setattr(qemu, "BOOT_ID", self.boot)
        self.qemu()

    def qemu(self, version: str = "7.2", probe: str = f"exit {qemu.PROBE_EXIT}") -> None:
        self._programs.shell(qemu.SYSTEM, f'[ "$1" = --version ] && echo "QEMU {version}" && exit\n{probe}')

    def accelerator(self) -> str:
        return qemu.accelerator(self.cache)

    def probes(self) -> int:
        return sum("isa-debug-exit" in call for call in self._programs.calls(qemu.SYSTEM))


@pytest.fixture
def host(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, programs, monkeypatch)


def test_without_a_device_nothing_is_probed(host: Host) -> None:
    host.device.unlink()
    assert host.accelerator() == "tcg"
    assert host.probes() == 0
    assert not host.cache.exists()


def test_a_guest_that_ran_proves_kvm_once(host: Host) -> None:
    assert [host.accelerator(), host.accelerator()] == ["kvm", "kvm"]
    assert host.probes() == 1


@pytest.mark.parametrize("probe", ["exit 1", "exit 0", "kill -9 $$"])
def test_a_guest_that_did_not_run_leaves_emulation(host: Host, probe: str) -> None:
    host.qemu(probe=probe)
    assert [host.accelerator(), host.accelerator()] == ["tcg", "tcg"]
    assert host.probes() == 1


def test_a_guest_that_hangs_leaves_emulation(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "PROBE_SECONDS", 0.05)
    host.qemu(probe="exec sleep 60")
    assert host.accelerator() == "tcg"


def test_the_answer_is_for_one_host_one_boot_and_one_qemu(host: Host) -> None:
    host.accelerator()
    host.qemu(version="8.0", probe="exit 1")
    assert host.accelerator() == "tcg"
    host.boot.write_text("second\n")
    host.accelerator()
    host.device.chmod(0o600)
    host.accelerator()
    assert host.probes() == 4


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"host": 1}'])
def test_a_damaged_memory_costs_one_probe(host: Host, damage: str) -> None:
    host.cache.parent.mkdir()
    host.cache.write_text(damage)
    assert [host.accelerator(), host.accelerator()] == ["kvm", "kvm"]
    assert host.probes() == 1


def test_firmware_that_is_missing_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, variables = tmp_path / "code.fd", tmp_path / "vars.fd"
    monkeypatch.setattr(qemu, "FIRMWARE", ((tmp_path / "other", variables), (code, variables)))
    code.touch()
    with pytest.raises(BakeryError, match="firmware") as failure:
        qemu.firmware()
    assert "ovmf" in failure.value.hint
    variables.touch()
    assert qemu.firmware() == (code, variables)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=5000)), max_size=6), st.integers(0, 100_000)
)
def test_digest_of_a_sparse_file_is_that_of_its_content(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], size: int
) -> None:
    raw = tmp_path_factory.mktemp("sparse") / "disk.raw"
    with raw.open("wb") as stream:
        stream.truncate(size)
        for block, data in pieces:
            stream.seek(block * 4096)
            stream.write(data)
    assert disk_image.digest(raw) == hashlib.sha256(raw.read_bytes()).hexdigest()


def test_describe_tells_the_file_from_its_content(tmp_path: Path, programs: Programs) -> None:
    programs.shell("qemu-img", '[ "$1" = convert ] && eval "target=\\${$#}" && printf content >"$target"')
    image = tmp_path / "disk.qcow2"
    image.write_bytes(b"file")
    disk = disk_image.describe(image)
    assert disk.virtual_size == len(b"content")
    assert disk.sha256 == hashlib.sha256(b"file").hexdigest()
    assert disk.raw_sha256 == hashlib.sha256(b"content").hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "disk.qcow2"]


@pytest.mark.parametrize(("name", "told"), [("a.raw", "-f raw"), ("a.qcow2", "-f qcow2"), ("a.img", "-f vmdk")])
def test_only_a_name_that_says_nothing_lets_the_content_say_its_format(
    tmp_path: Path, programs: Programs, name: str, told: str
) -> None:
    programs.shell("qemu-img", QEMU_IMG)
    (tmp_path / name).write_bytes(b"QFI\xfb")
    disk_image.to_raw(tmp_path / name, tmp_path / "target.raw")
    assert (tmp_path / "target.raw").read_bytes() == b"QFI\xfb"
    assert told in programs.calls("qemu-img")[-1]


def test_compression_is_asked_for(tmp_path: Path, programs: Programs) -> None:
    programs.shell("qemu-img", QEMU_IMG)
    (tmp_path / "a.raw").touch()
    disk_image.to_qcow2(tmp_path / "a.raw", tmp_path / "plain.qcow2", compress=False)
    disk_image.to_qcow2(tmp_path / "a.raw", tmp_path / "small.qcow2", compress=True)
    plain, _, small, _ = programs.calls("qemu-img")
    assert "-c" not in plain.split()
    assert "-c" in small.split()


@pytest.mark.parametrize("failing", ["convert", "check"])
def test_a_failed_conversion_leaves_the_old_file(tmp_path: Path, programs: Programs, failing: str) -> None:
    programs.shell("qemu-img", f'[ "$1" = {failing} ] && echo broken >&2 && exit 2\n{QEMU_IMG}')
    source, target = tmp_path / "a.raw", tmp_path / "b.qcow2"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    with pytest.raises(BakeryError) as failure:
        disk_image.to_qcow2(source, target, compress=False)
    assert failure.value.detail == "broken"
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.raw", "b.qcow2", "bin"]


def test_partitions_are_in_bytes(tmp_path: Path, programs: Programs) -> None:
    entry = {"node": "x1", "start": 2048, "size": 10, "type": "abc-1", "uuid": "u"}
    table = {"partitiontable": {"sectorsize": 512, "partitions": [entry, {**entry, "name": "root"}]}}
    programs.shell("sfdisk", f"echo '{json.dumps(table)}'")
    assert disk_image.partitions(tmp_path / "disk.raw") == [
        disk_image.Partition("", "ABC-1", 1 << 20, 5120),
        disk_image.Partition("root", "ABC-1", 1 << 20, 5120),
    ]


def test_free_port_can_be_used() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", qemu.free_port()))


def test_a_key_has_no_passphrase(tmp_path: Path, programs: Programs) -> None:
    programs.python("ssh-keygen", "assert sys.argv[sys.argv.index('-N') + 1] == ''")
    assert ssh.make_key(tmp_path) == tmp_path / "key"
    assert "-t ed25519" in programs.calls("ssh-keygen")[0]


def test_a_comma_in_a_path_does_not_end_an_option() -> None:
    assert qemu.escape(Path("/a,b/c")) == "/a,,b/c"
