"""The program that makes and mounts a Vault node's disks: on real file systems in files, with a pretended `lsblk`."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from doubles.programs import Programs
from unit.ansible.node_programs import load

BIG, SMALL = 8 << 20, 4 << 20


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = load("disks", monkeypatch)
    monkeypatch.setattr(module, "FOLDERS", {module.DATA: tmp_path / "data", module.AUDIT: tmp_path / "audit"})
    return module


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")  # where users have mkfs.ext4 and blkid
    found = Programs(tmp_path / "bin", monkeypatch)
    found.shell("mount")
    return found


@pytest.fixture
def machine(tmp_path: Path, programs: Programs) -> Callable[..., list[Path]]:
    """Disks of some sizes, all zeros; the first one is the root's."""

    def make(*sizes: int, read_only: tuple[int, ...] = ()) -> list[Path]:
        disks = [tmp_path / f"disk{number}" for number in range(len(sizes))]
        for disk, size in zip(disks, sizes, strict=True):
            disk.touch()
            os.truncate(disk, size)
        disks[0].write_bytes(b"a boot sector" + bytes(sizes[0] - 13))
        listed = [
            {"path": str(disk), "size": size, "type": "disk", "ro": number in read_only}
            for number, (disk, size) in enumerate(zip(disks, sizes, strict=True))
        ]
        cdrom = {"path": "/dev/sr0", "size": 1 << 20, "type": "rom", "ro": False}
        programs.shell("lsblk", f"cat <<'END'\n{json.dumps({'blockdevices': [*listed, cdrom]})}\nEND")
        return disks

    return make


def label(disk: Path) -> str:
    """Empty where there is no file system."""
    command: list[str | Path] = ["blkid", "--probe", "--match-tag", "LABEL", "--output", "value", disk]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def format_as(disk: Path, name: str) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-L", name, disk], check=True)


def places(programs: Programs) -> list[tuple[str, str]]:
    """Which disk was mounted where."""
    return [(Path(call.split()[-2]).name, Path(call.split()[-1]).name) for call in programs.calls("mount")]


def test_a_first_boot_makes_the_bigger_disk_the_one_for_data(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    _, small, big = machine(BIG, SMALL, BIG)
    assert program.main() == 0
    assert (label(big), label(small)) == ("vault-data", "vault-audit")
    assert places(programs) == [("disk2", "data"), ("disk1", "audit")]
    assert all("-o noexec,nodev,nosuid" in call for call in programs.calls("mount"))


def test_a_later_boot_goes_by_labels(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    """Whatever the sizes are by now."""
    _, audit, data = machine(BIG, BIG, SMALL)
    format_as(audit, "vault-audit")
    format_as(data, "vault-data")
    before = [audit.read_bytes(), data.read_bytes()]
    assert program.main() == 0
    assert places(programs) == [("disk2", "data"), ("disk1", "audit")]
    assert [audit.read_bytes(), data.read_bytes()] == before


def test_what_was_interrupted_is_finished(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    _, blank, data = machine(BIG, SMALL, BIG)
    format_as(data, "vault-data")
    before = data.read_bytes()
    assert program.main() == 0
    assert label(blank) == "vault-audit"
    assert data.read_bytes() == before


def test_which_of_two_blank_disks_is_missing_is_for_a_person(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    _, small, big, data = machine(BIG, SMALL, BIG, BIG)
    format_as(data, "vault-data")
    assert program.main() == 1
    assert (label(small), label(big)) == ("", "")


def test_a_mounted_disk_stays(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(BIG, SMALL, BIG)
    monkeypatch.setattr(program.os.path, "ismount", lambda path: True)
    assert program.main() == 0
    assert programs.calls("mount") == []


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ((BIG,), "two blank disks of different sizes"),
        ((BIG, SMALL), "two blank disks of different sizes"),
        ((BIG, SMALL, SMALL), "two blank disks of different sizes"),
        ((BIG, SMALL, BIG, 2 * BIG), "two blank disks of different sizes"),
    ],
    ids=["none", "one", "same size", "three"],
)
def test_it_refuses_to_guess(
    program: ModuleType,
    programs: Programs,
    machine: Callable[..., list[Path]],
    capsys: pytest.CaptureFixture[str],
    sizes: tuple[int, ...],
    why: str,
) -> None:
    disks = machine(*sizes)
    assert program.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("vault-node: disks: ") and why in said and str(disks[-1]) in said
    assert {label(disk) for disk in disks} == {""}
    assert programs.calls("mount") == []


def test_data_that_nobody_knows_the_form_of_is_not_formatted(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    _, _, big = machine(BIG, SMALL, BIG)
    with big.open("r+b") as disk:
        disk.seek(100_000)
        disk.write(b"something")
    assert program.main() == 1
    assert label(big) == ""


def test_another_file_system_is_not_formatted(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    _, _, big = machine(BIG, SMALL, BIG)
    format_as(big, "photos")
    assert program.main() == 1
    assert label(big) == "photos"


def test_audit_logs_without_data_are_for_a_person(
    program: ModuleType,
    programs: Programs,
    machine: Callable[..., list[Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, audit, big = machine(BIG, SMALL, BIG)
    format_as(audit, "vault-audit")
    assert program.main() == 1
    assert "one disk labelled vault-data and one labelled vault-audit" in capsys.readouterr().err
    assert label(big) == ""


def test_two_disks_with_the_same_label_are_for_a_person(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    _, one, other, _ = machine(BIG, BIG, BIG, SMALL)
    format_as(one, "vault-data")
    format_as(other, "vault-data")
    assert program.main() == 1
    assert programs.calls("mount") == []


def test_what_can_only_be_read_does_not_count(
    program: ModuleType, programs: Programs, machine: Callable[..., list[Path]]
) -> None:
    machine(BIG, SMALL, BIG, 2 * BIG, read_only=(3,))
    assert program.main() == 0
    assert places(programs) == [("disk2", "data"), ("disk1", "audit")]
