"""The disk of a failed bake, and the program that boots it."""

import os
import shlex
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.kept_disk import keep_disk
from bakery.bake.request import BakeContext, BakeRequest
from bakery.host import parallel
from bakery.host.errors import BakeryError
from bakery.host.files import MAKE_ROOM
from bakery.machine import qemu
from bakery.model.definition import ImageDefinition
from doubles.packer import PackerProject, define
from doubles.programs import Programs

FAILURE = "ansible('TASK [nginx : Install it] ***', 'fatal: [image]: FAILED! => {\"msg\": \"no\"}')"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: PackerProject) -> Programs:
    programs = Programs(tmp_path / "programs", monkeypatch)
    for name in ("mformat", "mcopy"):
        programs.shell(name)
    return programs


def run(world: PackerProject, definition: ImageDefinition | None = None, *, keep: bool = True) -> None:
    request = BakeRequest(definition or define(), "1.0.0", {}, "k" * 64)
    bake(request, world.base, BakeContext(world.project, world.toolchain, None, world.events.append, keep))


def fail(world: PackerProject, definition: ImageDefinition | None = None, *, keep: bool = True) -> BakeryError:
    with pytest.raises(BakeryError) as caught:
        run(world, definition, keep=keep)
    return caught.value


def kept_folder(world: PackerProject) -> Path:
    return world.project.workspace / "artifacts" / ".web" / ".kept"


def test_a_disk_on_a_layer_or_a_saved_boot_is_kept_with_its_content(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bake's copy of a layer ends with the bake, and a saved boot may be removed at any time."""
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[2])  # the real qemu-img
    job = world.job(define())
    start = job.scratch / "start.qcow2"
    job.output.mkdir(parents=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", start, "1M"], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 7 0 64k", start], check=True, capture_output=True)
    overlay = ["-f", "qcow2", "-F", "qcow2", "-b", str(start), str(job.output / "disk.qcow2")]
    subprocess.run(["qemu-img", "create", "-q", *overlay], check=True)
    keep_disk(job)
    start.unlink()
    disk = job.scratch.parent / ".kept" / "disk.qcow2"
    subprocess.run(["qemu-io", "-r", "-c", "read -P 7 0 64k", disk], check=True, capture_output=True)


@pytest.mark.parametrize(("mode", "name", "form"), [("vm", "disk.qcow2", "qcow2"), ("chroot", "disk.raw", "raw")])
def test_the_disk_is_kept_with_a_way_to_log_in(
    world: PackerProject, programs: Programs, monkeypatch: pytest.MonkeyPatch, mode: str, name: str, form: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs.shell("qemu-img", f'case "$*" in *"-F {form} -b"*) exit 0 ;; *) exit 1 ;; esac')
    programs.shell(qemu.SYSTEM)
    world.packer(f"disk({name!r}, b'half'); {FAILURE}; sys.exit(1)")
    monkeypatch.setattr("bakery.machine.disk_image.inspect", lambda _: {"virtual-size": 1})
    error = fail(world, define(mode=mode))
    folder = kept_folder(world)
    assert error.message == "task 'nginx : Install it' failed: no"
    assert error.hint.endswith(
        f"the disk is kept until the next bake of web: 'sh {folder}/start.sh' boots it, "
        f"then 'ssh -F {folder}/ssh_config guest' logs in"
    )
    assert "-on-error=abort" in world.record()["argv"]
    assert (folder / name).read_bytes() == b"half"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.parent.iterdir()] == [".kept"], "nothing else of the bake is left"
    settings = (folder / "ssh_config").read_text()
    assert f'IdentityFile "{folder / "key"}"' in settings
    assert "User look\n" in settings
    assert (folder / "key").exists()

    made = len(programs.calls("qemu-img"))
    answer = subprocess.run(["sh", folder / "start.sh"], check=True, capture_output=True, text=True)
    assert answer.stdout == f"the guest boots; its console is in {folder}/serial.log; Ctrl-C ends it\n"
    [fresh] = programs.calls("qemu-img")[made:]
    assert fresh.endswith(f"-F {form} -b {folder / name} {folder}/overlay.qcow2"), "each start shows the same state"
    words = shlex.split(programs.calls(qemu.SYSTEM)[0])
    port = settings.split("Port ")[1].split()[0]
    assert f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22" in words
    assert any(word.startswith("if=virtio") and word.endswith(f"{folder}/overlay.qcow2") for word in words)
    assert words[-2:] == ["-pidfile", f"{folder}/guest.pid"]


def test_the_seed_lets_the_kept_key_in(world: PackerProject, programs: Programs) -> None:
    world.packer("disk(); sys.exit(1)")
    fail(world)
    user_data = (kept_folder(world) / "user-data").read_text()
    assert '"name": "look"' in user_data
    assert '"ssh_authorized_keys": ["public"]' in user_data


def test_nothing_is_kept_unless_asked(world: PackerProject) -> None:
    world.packer("disk(); sys.exit(1)")
    assert "kept" not in fail(world, keep=False).hint
    assert "-on-error=abort" not in world.record()["argv"]
    assert list(kept_folder(world).parent.iterdir()) == []


def test_a_full_disk_does_not_hide_that_a_disk_is_kept(
    world: PackerProject, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakery.bake.space.FULL", 1 << 62)
    world.packer("disk(); sys.exit(1)")
    error = fail(world)
    assert error.message == "the disk filled up during the bake"
    assert error.hint.startswith(f"{MAKE_ROOM}; the disk is kept until the next bake of web: ")


def test_an_interrupted_bake_keeps_nothing(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()
    interrupted.set()
    monkeypatch.setattr(parallel, "_interrupted", interrupted)
    world.packer("disk(); sys.exit(1)")
    assert "kept" not in fail(world).hint
    assert not kept_folder(world).exists()


def test_a_bake_that_ends_well_keeps_nothing(world: PackerProject) -> None:
    run(world)
    assert not kept_folder(world).exists()


def test_a_bake_that_made_no_disk_keeps_nothing(world: PackerProject) -> None:
    world.packer("sys.exit(1)")
    assert "kept" not in fail(world).hint
    assert not kept_folder(world).exists()


def test_the_next_bake_removes_what_is_kept_and_its_guest(world: PackerProject, programs: Programs) -> None:
    world.packer("disk(); sys.exit(1)")
    fail(world)
    folder = kept_folder(world)
    with subprocess.Popen(["sleep", "60"], env={**os.environ, "DISK": str(folder)}) as guest:
        (folder / "guest.pid").write_text(str(guest.pid))
        world.packer("disk(); manifest(); done()")
        run(world)
        assert not folder.exists()
        assert guest.wait() == -9


def test_a_disk_that_cannot_be_kept_does_not_hide_the_failure(world: PackerProject, programs: Programs) -> None:
    programs.shell("mformat", "exit 1")
    world.packer("disk(); sys.exit(1)")
    error = fail(world)
    assert error.message.startswith("Packer failed")
    assert error.hint.endswith("the disk cannot be kept: mformat failed with exit code 1")
    assert not kept_folder(world).exists()


def test_a_disk_of_windows_has_no_login(world: PackerProject) -> None:
    job = world.job(define().model_copy(update={"os": "windows-server-2022"}))
    job.output.mkdir()
    (job.output / "disk.qcow2").write_bytes(b"half")
    disk = world.folder / ".kept" / "disk.qcow2"
    assert keep_disk(job) == f"the disk is kept: {disk}; the next bake of web removes it"
    assert disk.read_bytes() == b"half"
