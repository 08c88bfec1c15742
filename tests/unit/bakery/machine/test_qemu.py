import socket
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.machine import qemu
from doubles.programs import Programs


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(tmp_path / "bin", monkeypatch)


class Host:
    """A host with a /dev/kvm and a QEMU whose version and probe result can be chosen."""

    def __init__(self, folder: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = folder / "image-bakery" / "accelerator.json"
        self.boot = folder / "boot_id"
        self.boot.write_text("first\n")
        self.device = folder / "kvm"
        self.device.touch()
        self._programs = programs
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
        monkeypatch.setattr(qemu, "KVM", self.device)
        monkeypatch.setattr(qemu, "BOOT_ID", self.boot)
        self.qemu()

    def qemu(self, version: str = "7.2", probe: str = f"exit {qemu.PROBE_EXIT}") -> None:
        self._programs.shell(qemu.SYSTEM, f'[ "$1" = --version ] && echo "QEMU {version}" && exit\n{probe}')

    def accelerator(self) -> str:
        return qemu.accelerator()

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


def test_free_port_can_be_used() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", qemu.free_port()))


def test_a_comma_in_a_path_does_not_end_an_option() -> None:
    assert qemu.escape_comma(Path("/a,b/c")) == "/a,,b/c"
