"""A bake from a saved boot, and from none when that fails."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.bake import bake, guest_boot
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds.job import Job
from bakery.host import process
from bakery.host.errors import BakeryError, DiskError
from bakery.host.events import Reporter
from bakery.layers import saved_boots
from bakery.layers.saved_boots import StartDisk
from bakery.machine.saved_boot import Boot, SavedBoot
from bakery.model.documents import Artifact
from doubles.packer import PackerProject, define

# A Packer whose guest answers only if it boots.
BOOTS_ONLY = """
if "QEMU_BOOT" in os.environ:
    disk()
    say("{message}")
    sys.exit(1)
disk(); manifest(); done()
"""
FAILED_TASK = """
if "QEMU_BOOT" not in os.environ: sys.exit("a second build")
disk()
ansible("TASK [Install packages] ****", 'fatal: [image]: FAILED! => {"msg": "no such package"}')
sys.exit(1)
"""
can_restore = guest_boot.can_restore  # of which the world has another


@pytest.fixture
def boot(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> SavedBoot:
    """The saved boot that each bake finds."""
    boot = SavedBoot(world.project.cache / "boots" / "key")
    boot.folder.mkdir(parents=True)
    for path in (boot.disk, boot.memory, boot.machine):
        path.write_text("saved")
    monkeypatch.setattr(guest_boot, "can_restore", lambda _: True)
    monkeypatch.setattr(guest_boot, "separate_network", lambda *_: [])

    def find(
        base: StartDisk, asked: Boot, cache: Path, folder: Path, network: Sequence[str | Path], report: Reporter
    ) -> SavedBoot:
        assert base == StartDisk("debian-12", world.base.path, world.base.sha256)
        assert (asked.accelerator, asked.launcher.name, asked.seconds, cache) == (
            "tcg",
            "qemu.sh",
            600,
            world.project.cache,
        )
        return boot

    monkeypatch.setattr(saved_boots, "find_or_save", find)
    return boot


def run(world: PackerProject) -> Artifact:
    context = BakeContext(world.project, world.toolchain, None, world.events.append)
    return bake(BakeRequest(define(), "1.0.0", {}, "k" * 64), world.base, context)


def notes(world: PackerProject) -> list[str]:
    return [event.text for event in world.events if event.kind == "note" and "commit" not in event.text]


def test_the_guest_goes_on_from_the_saved_boot(world: PackerProject, boot: SavedBoot) -> None:
    run(world)
    record = world.record()
    assert record["env"]["QEMU_BOOT"] == str(boot.folder)
    assert record["variables"]["base_disk"] == str(boot.disk)
    assert record["variables"]["ssh_timeout"] == "2m"
    assert notes(world) == []


def test_without_one_it_boots(world: PackerProject) -> None:
    run(world)
    record = world.record()
    assert "QEMU_BOOT" not in record["env"]
    assert record["variables"]["base_disk"] == str(world.base.path)
    assert record["variables"]["ssh_timeout"] == "10m"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Timeout waiting for SSH.", "the guest never answered on SSH"),
        ("Qemu failed to start. Please run with PACKER_LOG=1", "QEMU did not start"),
    ],
)
def test_a_guest_that_cannot_go_on_boots(world: PackerProject, boot: SavedBoot, message: str, reason: str) -> None:
    world.packer(BOOTS_ONLY.format(message=message))
    artifact = run(world)
    assert Path(artifact.disk.path).read_bytes() == b"baked"
    assert world.record()["variables"]["base_disk"] == str(world.base.path)
    assert notes(world) == [f"the guest boots, since its saved boot failed: {reason}"]
    assert not boot.folder.exists(), "the next bake makes another"
    assert not list(world.folder.glob("bakery-*"))


def test_a_bake_that_fails_later_is_not_repeated(world: PackerProject, boot: SavedBoot) -> None:
    world.packer(FAILED_TASK)
    with pytest.raises(BakeryError, match="task 'Install packages' failed"):
        run(world)
    assert boot.folder.exists()
    assert notes(world) == []


def test_a_disk_without_room_for_it(world: PackerProject, boot: SavedBoot, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DiskError("not enough disk space for the saved boot of debian-12: 3072 MiB needed, 2048 MiB free")

    monkeypatch.setattr(saved_boots, "find_or_save", refuse)
    run(world)
    assert "QEMU_BOOT" not in world.record()["env"]
    assert notes(world)[0].startswith("the guest boots without a saved boot: not enough disk space")


@pytest.fixture
def job(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(process, "which", lambda name: f"/usr/bin/{name}")
    return world.job(define())


def test_the_shipped_machine_for_linux_can_go_on(job: Job) -> None:
    assert can_restore(job)


@pytest.mark.parametrize("change", ["kvm", "windows", "own template", "chroot", "copied template", "no zstd", "remote"])
def test_other_machines_always_boot(job: Job, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    match change:
        case "kvm":
            job = replace(job, toolchain=replace(job.toolchain, accelerator="kvm"))
        case "windows":
            job = replace(job, definition=define(os="windows-2022", software={"packages": []}))
        case "own template":
            job = replace(job, definition=define(template="own"))
        case "chroot":
            job = replace(job, definition=define(mode="chroot"))
        case "copied template":
            (job.project.root / "packer" / "templates" / "qemu").mkdir(parents=True)
        case "no zstd":
            monkeypatch.setattr(process, "which", lambda name: None if name == "zstd" else f"/usr/bin/{name}")
        case "remote":
            job = replace(job, builder="amazon-ebs", base=None)
    assert not can_restore(job)
