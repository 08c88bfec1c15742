"""The cache of saved boots; a file takes the place of a guest."""

import errno
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bakery.host import files
from bakery.host.errors import BakeryError, DiskError
from bakery.host.events import Event
from bakery.layers import saved_boots
from bakery.layers.saved_boots import StartDisk
from bakery.machine import qemu, saved_boot
from bakery.machine.saved_boot import Boot, SavedBoot


@dataclass
class World:
    """A base, and what was asked of the machine."""

    folder: Path
    base: StartDisk
    boot: Boot
    saves: int = 0
    bakes: int = 0
    error: BakeryError | None = None
    events: list[Event] = field(default_factory=list)

    def save(self, boot: Boot, saved: SavedBoot, network: Sequence[str | Path]) -> None:
        self.saves += 1
        assert saved.base.samefile(self.base.path)
        for path in (saved.disk, saved.memory, saved.machine):
            path.write_bytes(path.name.encode())
        if self.error:
            raise self.error

    def take(self) -> SavedBoot | None:
        """The saved boot in the folder of a bake."""
        self.bakes += 1
        job = self.folder / f"bake-{self.bakes}"
        job.mkdir(parents=True)
        return saved_boots.find_or_save(self.base, self.boot, self.folder, job, (), self.events.append)

    def find(self) -> SavedBoot | None:
        """The entry in the cache that a bake takes."""
        boot = self.take()
        return SavedBoot(self.folder / "boots" / boot.folder.name) if boot else None

    def notes(self) -> list[str]:
        return [event.text for event in self.events if event.kind == "note"]

    def entries(self) -> list[str]:
        """The names of folders and drafts, without locks."""
        return sorted(path.name for path in (self.folder / "boots").iterdir() if path.suffix != ".lock")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("disk.qcow2", "qemu.sh", "code.fd", "vars.fd"):
        (tmp_path / name).write_text(name)
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux" / "wake.py").write_text("wake.py")
    base = StartDisk("debian bookworm", tmp_path / "disk.qcow2", files.sha256(tmp_path / "disk.qcow2"))
    boot = Boot(tmp_path / "qemu.sh", "tcg", 60.0, tmp_path / "console")
    world = World(tmp_path / "cache", base, boot)
    monkeypatch.setattr(saved_boot, "save_boot", world.save)
    monkeypatch.setattr(qemu, "version", lambda: "QEMU 7.2.22")
    monkeypatch.setattr(qemu, "FIRMWARE", ((tmp_path / "code.fd", tmp_path / "vars.fd"),))
    return world


def test_a_base_is_booted_once(world: World) -> None:
    first, second = world.find(), world.find()
    assert first and first == second and world.saves == 1
    assert first.memory.read_bytes() == b"memory.zst"
    assert first.memory.stat().st_mode & 0o777 == 0o400
    assert world.entries() == [first.folder.name]


@pytest.mark.parametrize("change", ["base", "qemu", "firmware", "launcher", "accelerator", "memory", "wake"])
def test_each_input_of_a_saved_guest_makes_another(
    world: World, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.find()
    match change:
        case "base":
            world.base = replace(world.base, sha256="c" * 64)
        case "qemu":
            monkeypatch.setattr(qemu, "version", lambda: "QEMU 7.2.23")
        case "firmware":
            (tmp_path / "vars.fd").write_text("newer")
        case "launcher":
            world.boot.launcher.write_text("newer")
        case "accelerator":
            world.boot = replace(world.boot, accelerator="kvm")
        case "memory":
            monkeypatch.setattr(qemu, "MACHINE", replace(qemu.MACHINE, memory_mib=4096))
        case "wake":
            world.boot.wake.write_text("newer")
    after = world.find()
    assert before and after and before != after and world.saves == 2


def test_the_console_and_the_patience_make_no_other(world: World, tmp_path: Path) -> None:
    before = world.find()
    world.boot = replace(world.boot, serial=tmp_path / "other", seconds=1.0)
    assert world.find() == before


@pytest.mark.parametrize("file", ["disk.qcow2", "memory.zst", "machine"])
@pytest.mark.parametrize("damage", ["truncate", "change", "remove"])
def test_a_damaged_file_is_noticed_and_the_boot_saved_again(world: World, file: str, damage: str) -> None:
    boot = world.find()
    assert boot
    path = boot.folder / file
    path.chmod(0o600)
    match damage:
        case "truncate":
            os.truncate(path, 3)
        case "change":
            path.write_bytes(path.read_bytes()[::-1])
        case "remove":
            path.unlink()
    assert world.find() == boot and world.saves == 2
    assert world.notes() == [f"its saved boot is damaged ({file}), and is made again"]
    assert path.read_bytes() == file.encode()


def test_a_damaged_document_makes_it_again(world: World) -> None:
    boot = world.find()
    assert boot
    (boot.folder / "boot.json").write_text("{")
    assert world.find() == boot and world.saves == 2


def test_a_base_that_cannot_be_saved_is_tried_again_after_a_day(world: World) -> None:
    world.error = BakeryError("python3 failed", detail="no python3 there\nmore")
    assert world.find() is None and world.find() is None
    assert world.saves == 1
    text = "each bake boots it, since its boot cannot be saved: no python3 there"
    assert world.notes() == [text, text]
    (entry,) = world.entries()
    assert [path.name for path in (world.folder / "boots" / entry).iterdir()] == ["boot.json"]
    yesterday = time.time() - saved_boots.RETRY_SECONDS - 1
    os.utime(world.folder / "boots" / entry, (yesterday, yesterday))
    world.error = None
    assert world.find() and world.saves == 2


def test_a_killed_run_leaves_no_half_of_a_boot(world: World) -> None:
    world.error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        world.find()
    assert world.entries() == []


def test_a_boot_that_nobody_used_in_a_week_goes(world: World) -> None:
    old = world.find()
    world.base = replace(world.base, sha256="c" * 64)
    used = world.find()
    assert old and used
    last_week = time.time() - saved_boots.UNUSED_SECONDS - 1
    for boot in (old, used):
        os.utime(boot.folder, (last_week, last_week))
    assert world.find() == used, "the use of it counts"
    world.base = replace(world.base, sha256="d" * 64)
    world.find()
    assert not old.folder.exists() and used.folder.exists()


def test_only_the_last_used_ones_are_kept(world: World) -> None:
    boots = []
    for number in range(saved_boots.KEPT + 1):
        world.base = replace(world.base, sha256=str(number) * 64)
        boot = world.find()
        assert boot
        boots.append(boot)
        os.utime(boot.folder, (time.time() - 100 + number,) * 2)
    world.find()
    assert [boot.folder.exists() for boot in boots] == [False, *[True] * saved_boots.KEPT]


def test_a_base_whose_file_has_other_bytes_is_booted_again(world: World) -> None:
    boot = world.find()
    assert boot
    boot.base.chmod(0o600)
    boot.base.write_text("damaged")  # and with it the base, whose other name this is
    world.base.path.unlink()
    world.base.path.write_text("disk.qcow2")  # made again
    assert world.find() == boot and world.saves == 2
    assert boot.base.samefile(world.base.path)


def test_a_copy_of_the_base_goes_on_from_its_saved_boot(world: World) -> None:
    """A layer of a shared folder is another file in each bake."""
    boot = world.find()
    copy = world.base.path.with_name("copy")
    copy.write_bytes(world.base.path.read_bytes())
    copy.replace(world.base.path)
    assert world.find() == boot and world.saves == 1


@pytest.mark.parametrize("event", ["removed", "pushed out", "replaced"])
def test_a_bake_keeps_the_files_that_it_took(world: World, event: str) -> None:
    boot = world.take()
    assert boot
    files_of_boot = (boot.base, boot.disk, boot.memory, boot.machine)
    before = [path.read_bytes() for path in files_of_boot]
    entry = world.folder / "boots" / boot.folder.name
    match event:
        case "removed":
            shutil.rmtree(world.folder / "boots")
        case "pushed out":
            last_week = time.time() - saved_boots.UNUSED_SECONDS - 1
            os.utime(entry, (last_week, last_week))
            world.base = replace(world.base, sha256="c" * 64)
            world.take()
            assert not entry.exists()
        case "replaced":
            (entry / "machine").chmod(0o600)
            (entry / "boot.json").write_text("{")
            world.take()
            assert world.saves == 2
    assert [path.read_bytes() for path in files_of_boot] == before


def test_a_base_may_be_removed_under_a_saved_boot(world: World) -> None:
    boot = world.find()
    assert boot
    content = world.base.path.read_bytes()
    world.base.path.unlink()
    assert boot.base.read_bytes() == content


def test_a_base_on_another_disk_boots_in_each_bake(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert world.find() is None
    assert "Invalid cross-device link" in world.notes()[0]


def test_a_full_disk_is_noticed_before_the_guest_starts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "find_free_space", lambda _: saved_boots.NEEDED_BYTES - 1)
    with pytest.raises(DiskError, match="the saved boot of debian bookworm"):
        world.find()
    assert world.saves == 0


def test_a_removed_boot_is_made_again(world: World) -> None:
    boot = world.find()
    assert boot
    saved_boots.remove_boot(boot, world.folder, "debian bookworm", world.events.append)
    assert world.entries() == []
    assert world.find() == boot and world.saves == 2


def test_a_boot_that_another_run_removes_meanwhile_does_no_harm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [*glob(folder, pattern), folder / "gone" / "boot.json"])
    assert world.find()
