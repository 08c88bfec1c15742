"""A file system that was frozen when its bake was killed."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from bakery.host.waiting import wait_until
from bakery.machine.loops import free_loops

pytestmark = [pytest.mark.integration, pytest.mark.root]

# What chroot.sh and keep-layer.sh do, up to the copy of the disk.
FREEZE = """
mkdir "$1/root"
mount -o loop "$1/disk.raw" "$1/root"
fsfreeze --freeze "$1/root"
touch "$1/frozen"
exec sleep infinity
"""


def loops_of(disk: Path) -> list[str]:
    """The loop devices of a file. Their kernel knows its inode also when the mount that it was reached by is gone."""
    devices = subprocess.check_output(["losetup", "--noheadings", "--list", "--output", "BACK-INO,NAME"], text=True)
    return [line.split()[1] for line in devices.splitlines() if line.split()[0] == str(disk.stat().st_ino)]


def test_its_loop_device_is_freed(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", disk], check=True)
    namespace = (
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
    )
    bake = subprocess.Popen([*namespace, "sh", "-eu", "-c", FREEZE, "sh", str(tmp_path)], start_new_session=True)
    assert wait_until(lambda: (tmp_path / "frozen").exists() or None, 20, 0.05)
    os.killpg(bake.pid, signal.SIGKILL)
    bake.wait()
    assert loops_of(disk), "a frozen file system stays"
    free_loops(tmp_path)
    assert wait_until(lambda: not loops_of(disk) or None, 20, 0.1)


def test_those_of_other_folders_stay(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    disk = tmp_path / "other" / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    device = subprocess.check_output(["losetup", "--find", "--show", disk], text=True).strip()
    try:
        free_loops(tmp_path / "mine")
        assert loops_of(disk)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
