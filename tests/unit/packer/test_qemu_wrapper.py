"""qemu.sh: one machine, in whatever order Packer's plugin gives its options."""

import itertools
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from doubles.programs import Programs

WRAPPER = Path(__file__).parents[3] / "packer" / "templates" / "qemu" / "qemu.sh"
# The plugin keeps the options of one name in their order, and the names in a map of Go.
OPTIONS = (
    ("-drive", "file=/out/disk.qcow2,if=virtio,cache=unsafe", "file=/tmp/packer1.iso,media=cdrom"),
    ("-device", "virtio-net,netdev=user.0", "virtio-rng-pci,rng=rng0"),
    ("-netdev", "user,id=user.0,hostfwd=tcp:127.0.0.1:3456-:22"),
    ("-serial", "file:/logs/web.console"),
    ("-m", "2048M"),
    ("-nodefaults",),
)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.shell("qemu-system-x86_64", 'printf "%s\\n" "$@"')
    return programs


def flatten(options: Iterable[tuple[str, ...]]) -> list[str]:
    """Options as the plugin flattens its map."""
    return [word for name, *values in options for value in values or [""] for word in (name, value) if word]


def start(options: Iterable[str], **environment: Path) -> list[str]:
    """The words that QEMU gets."""
    path = os.environ["PATH"]
    env = {"PATH": path, **{name: str(value) for name, value in environment.items()}}
    return subprocess.check_output([WRAPPER, *options], env=env, text=True).splitlines()


def save(folder: Path, options: Iterable[str]) -> Path:
    """A saved boot of a machine with these options."""
    folder.mkdir()
    start(options, QEMU_MACHINE=folder / "machine")
    return folder


def test_each_order_of_options_gives_one_machine(programs: Programs) -> None:
    orders = [flatten(order) for order in itertools.permutations(OPTIONS)]
    commands = {tuple(start(order)) for order in orders[::24]}
    assert len(orders[::24]) == 30
    (command,) = commands
    assert sorted(command) == sorted(orders[0])
    assert command.index("virtio-net,netdev=user.0") < command.index("virtio-rng-pci,rng=rng0")
    drives = [word for word in command if word.startswith("file=")]
    assert drives == ["file=/out/disk.qcow2,if=virtio,cache=unsafe", "file=/tmp/packer1.iso,media=cdrom"]


def test_values_with_spaces_and_patterns_stay_whole(programs: Programs) -> None:
    assert start(["-name", "a b*", "-append", "x=1 y=?"]) == ["-append", "x=1 y=?", "-name", "a b*"]


def test_the_question_for_the_version_is_passed_on(programs: Programs, tmp_path: Path) -> None:
    assert start(["-version"], QEMU_BOOT=save(tmp_path / "boot", flatten(OPTIONS))) == ["-version"]


def test_a_saved_boot_is_restored_on_the_same_machine(programs: Programs, tmp_path: Path) -> None:
    boot = save(tmp_path / "boot", flatten(OPTIONS))
    elsewhere = [
        word.replace("/out/", "/elsewhere/").replace("/tmp/packer1", "/tmp/packer2").replace("3456", "7890")
        for word in flatten(reversed(OPTIONS))
    ]
    words = start([*elsewhere, "-pidfile", "/run/x"], QEMU_BOOT=boot)
    assert words[-2:] == ["-incoming", f"exec:zstd -dcq '{boot}/memory.zst'"]
    assert "file=/elsewhere/disk.qcow2,if=virtio,cache=unsafe" in words


@pytest.mark.parametrize(
    ("word", "changed"),
    [
        ("2048M", "1024M"),
        ("virtio-rng-pci,rng=rng0", "virtio-rng-pci,rng=rng0,addr=9"),
        ("file=/out/disk.qcow2,if=virtio,cache=unsafe", "file=/out/disk.qcow2,if=ide,cache=unsafe"),
        ("user,id=user.0,hostfwd=tcp:127.0.0.1:3456-:22", "user,id=user.1,hostfwd=tcp:127.0.0.1:3456-:22"),
    ],
)
def test_a_saved_boot_of_another_machine_is_refused(
    programs: Programs, tmp_path: Path, word: str, changed: str
) -> None:
    boot = save(tmp_path / "boot", flatten(OPTIONS))
    other = [changed if part == word else part for part in flatten(OPTIONS)]
    log = tmp_path / "qemu.log"
    with pytest.raises(subprocess.CalledProcessError):
        start(other, QEMU_BOOT=boot, QEMU_LOG=log)
    assert log.read_text() == "the saved boot is of another machine\n"
