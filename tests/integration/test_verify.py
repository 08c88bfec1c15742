"""Verify with real disks and real guests."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.clouds import definitions
from bakery.host.errors import BakeryError
from bakery.host.events import silent
from bakery.machine import disk_image, qemu, secret_search, ssh
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import root_of
from bakery.machine.guest import GuestError, Patience, boot_guest
from bakery.model.documents import Artifact
from bakery.model.project import Project
from bakery.verify import hygiene, verify
from doubles.artifacts import artifact_of
from doubles.disks import describe_disk

pytestmark = pytest.mark.integration

SECRET = "correct horse battery staple"


@pytest.fixture
def project(project_root: Path, tmp_path: Path) -> Project:
    return Project(project_root, project_root / "packer" / "images", tmp_path / "workspace")


@pytest.fixture(scope="module")
def artifact(base_disk: BaseDisk) -> Artifact:
    """The base as it is, as if it had been baked."""
    return artifact_of(describe_disk(base_disk.path)[0], base_disk.base, "debian-13")


def test_a_changed_disk_is_refused(project: Project, artifact: Artifact, base_disk: BaseDisk) -> None:
    image = definitions.load(project.definitions).images["debian-13"]
    changed = replace(artifact, disk=replace(artifact.disk, sha256="0" * 64))
    with pytest.raises(BakeryError, match="changed since it was baked"):
        verify(project, image, changed, base_disk.path, [], silent)


@pytest.fixture
def spoil(base_disk: BaseDisk, tmp_path: Path) -> Callable[..., Path]:
    """Gives a copy of the base on which debugfs ran some requests."""

    def write(*requests: str) -> Path:
        raw = tmp_path / "spoiled.raw"
        with disk_image.as_raw(base_disk.path) as content:
            shutil.copyfile(content, raw)
        root = root_of(raw)
        assert root
        script = tmp_path / "requests"
        script.write_text("\n".join(requests))
        subprocess.run(
            ["debugfs", "-w", "-f", script, f"{raw}?offset={root.partition.start}"], check=True, capture_output=True
        )
        return raw

    return write


def test_traces_of_a_machine_are_found_on_a_real_disk(spoil: Callable[..., Path], tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_text("48a615ae1bd940c0ba9a0740a325d94d\n")
    raw = spoil(
        f"write {content} /etc/ssh/ssh_host_rsa_key",
        "rm /etc/machine-id",
        f"write {content} /etc/machine-id",
        "mkdir /root/.ssh",
        f"write {content} /root/.ssh/authorized_keys",
        f"write {content} /root/.bash_history",
        f"write {content} /usr/sbin/policy-rc.d",
    )
    assert {check.name for check in hygiene.check(raw, hygiene.RULES) if not check.passed} == {
        "no SSH host keys",
        "machine ID is empty",
        "no authorized keys",
        "no shell history",
        "services may start (no policy-rc.d)",
    }


def test_a_secret_is_found_in_a_file_and_in_a_deleted_one(spoil: Callable[..., Path], tmp_path: Path) -> None:
    kept, deleted = tmp_path / "kept", tmp_path / "deleted"
    kept.write_bytes(b"password: " + base64.b64encode(SECRET.encode()))
    deleted.write_text(f"TOKEN={SECRET}-2")
    raw = spoil(f"write {kept} /etc/app.conf", f"write {deleted} /tmp/env", "rm /tmp/env")
    (check,) = secret_search.search(raw, [SECRET, f"{SECRET}-2", "never written anywhere"])
    assert "secret 1 of 3 in base64" in check.detail
    assert ": /etc/app.conf" in check.detail
    assert "secret 2 of 3 in plain text" in check.detail
    assert "in no file" in check.detail
    assert "secret 3" not in check.detail
    assert SECRET not in check.detail


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A disk that nothing boots from."""
    disk = tmp_path / "blank.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True)
    return disk


@pytest.mark.guest
def test_a_guest_that_never_answers_is_given_up(blank: Path, tmp_path: Path) -> None:
    key, folder = ssh.make_key(tmp_path), tmp_path / "logs"
    with (
        pytest.raises(GuestError) as failure,
        boot_guest(blank, user="x", key=key, folder=folder, accelerator="tcg", patience=Patience(silence=5, total=5)),
    ):
        pytest.fail("nothing can answer here")
    assert failure.value.detail
    assert sorted(path.name for path in folder.iterdir()) == ["qemu.log", "serial.log"]


BOOT = """
import sys
from pathlib import Path
from bakery.machine.guest import boot_guest
disk, key, folder = map(Path, sys.argv[1:])
with boot_guest(disk, user="x", key=key, folder=folder, accelerator="tcg"):
    pass
"""


@pytest.mark.guest
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_guest_outlives_us(blank: Path, project_root: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "logs"
    command: list[str | Path] = [sys.executable, "-c", BOOT, blank, ssh.make_key(tmp_path), folder]
    # Nobody can tidy up after kill -9, so its temporary folder goes with ours.
    child = subprocess.Popen(
        command, cwd=project_root, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    wait_until(lambda: (folder / "serial.log").exists())
    assert len(guests(folder)) == 1
    child.send_signal(number)
    child.wait(60)
    wait_until(lambda: guests(folder) == [])
    if number == signal.SIGINT:
        assert sorted(path.name for path in folder.iterdir()) == ["qemu.log", "serial.log"]
    shutil.rmtree(folder)


def guests(folder: Path) -> list[int]:
    """Process IDs of the QEMUs that use a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdecimal() else []
        except OSError:
            continue
        if arguments and arguments[0].decode() == qemu.SYSTEM and os.fsencode(folder) in b"\0".join(arguments):
            found.append(int(entry.name))
    return found


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
