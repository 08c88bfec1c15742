"""The guest of a failed bake, which stays for a login: with real tools, on a terminal of its own."""

import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bakery.host.errors import ExitCode
from bakery.host.waiting import wait_until
from bakery.machine.disk_image import BaseDisk
from integration.clones import copy_project, run_bakery, user_environment

# 150 s of a processor for each bake, less where guests go on from a saved boot.
pytestmark = [pytest.mark.integration, pytest.mark.soak, pytest.mark.guest, pytest.mark.root]

ROOT = Path(__file__).parents[2]
SECONDS = 1800.0  # a bake until its role fails takes 250 without acceleration on a busy machine
END_SECONDS = 60.0
DEFINITION = """\
name: web
description: An image whose bake fails
os: debian-13
arch: x86_64
version: "1.0"
mode: vm
updates: none
base:
  qemu:
    debootstrap:
      suite: trixie
software:
  roles:
    - name: broken
tests: [base]
targets: [local]
"""
ROLE = """\
- name: Leave a trace in the memory of the guest
  ansible.builtin.copy: {content: "it is this guest", dest: /run/trace, mode: "0644"}

- name: Print what the bakery prints
  ansible.builtin.debug: {msg: ["bakery: the guest waits for a login"]}

- name: Fail
  ansible.builtin.command: ls /no/such/file
  changed_when: false
"""
NOTE = re.compile(
    r"task 'broken : Fail' failed: non-zero return code; the guest still runs: "
    r"'(ssh -F (\S+)/ssh_config guest)' logs in as root; 'poweroff' in it ends the bake and keeps the disk, "
    r"Ctrl-C here ends it and keeps no disk"
)


@pytest.fixture(scope="module")
def project(base_disk: BaseDisk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with this image alone."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(ROOT, folder)
    shutil.rmtree(folder / "packer" / "images")
    (folder / ".bakery" / "cache").mkdir()
    (folder / ".bakery" / "cache" / "bases").symlink_to(base_disk.path.parents[1])
    for path, text in {
        "packer/images/web.yaml": DEFINITION,
        "ansible/roles/broken/tasks/main.yml": ROLE,
        "ansible/roles/broken/meta/bakery.yml": "modes: [vm]\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


class Bake:
    """`bakery bake --keep` on a terminal, and what it prints there."""

    def __init__(self, project: Path) -> None:
        self.text = ""
        self._terminal, its_end = pty.openpty()
        self.child = subprocess.Popen(
            ["setsid", "--ctty", Path(sys.executable).with_name("bakery"), "bake", "web", "--keep"],
            cwd=project,
            env={**user_environment(), "TERM": "xterm"},
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
        )
        os.close(its_end)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def await_note(self) -> tuple[list[str], Path]:
        """The words of the login, and the private folder of the bake."""
        assert wait_until(lambda: NOTE.search(self.text) or self.child.poll() is not None or None, SECONDS, 0.2)
        note = NOTE.search(self.text)
        assert note, self.text
        return note[1].split(), Path(note[2])

    def type(self, key: bytes) -> None:
        os.write(self._terminal, key)

    def end(self) -> int:
        """The exit code."""
        code = self.child.wait(END_SECONDS)
        self._reader.join(END_SECONDS)
        return code

    def _read(self) -> None:
        with suppress(OSError):  # of a terminal that nobody has open any more
            while part := os.read(self._terminal, 4096):
                self.text += part.decode(errors="replace")
        os.close(self._terminal)


@contextmanager
def started(project: Path) -> Iterator[Bake]:
    bake = Bake(project)
    try:
        yield bake
    finally:
        if bake.child.poll() is None:
            bake.child.kill()
        bake.end()


def processes(project: Path) -> list[bytes]:
    """The command lines of processes that have to do with a project."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command, environment = (proc / "cmdline").read_bytes(), (proc / "environ").read_bytes()
            if os.fsencode(project) in command + environment and int(proc.name) != os.getpid():
                found.append(command)
    return found


def assert_nothing_runs(project: Path) -> None:
    assert wait_until(lambda: not processes(project) or None, END_SECONDS, 0.2), processes(project)
    assert str(project) not in Path("/proc/mounts").read_text()


def log_in(words: list[str], command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*words, command], capture_output=True, text=True, timeout=END_SECONDS, check=False)


def test_a_killed_bake_ends_its_guest(project: Path) -> None:
    with started(project) as bake:
        words, _ = bake.await_note()
        assert log_in(words, "true").returncode == 0
        assert [line for line in processes(project) if line.startswith(b"qemu-system")]
        bake.child.kill()
        bake.end()
        assert_nothing_runs(project)
        assert log_in(words, "true").returncode == 255


def test_ctrl_c_ends_the_guest_and_keeps_no_disk(project: Path) -> None:
    with started(project) as bake:
        _, folder = bake.await_note()
        assert folder.exists()
        bake.type(b"\x03")
        assert bake.end() == 130
        assert "interrupted" in bake.text
        assert_nothing_runs(project)
        assert not folder.exists()
        assert list((project / ".bakery" / "artifacts" / ".web").iterdir()) == []


def test_the_guest_that_failed_answers_until_it_is_powered_off(project: Path, tmp_path: Path) -> None:
    with started(project) as bake:
        words, folder = bake.await_note()
        assert any(line.startswith(b"unshare") for line in processes(project)), "it is in a network of its own"
        assert log_in(words, "cat /run/trace").stdout == "it is this guest"
        subprocess.run(["scp", "-q", *words[1:3], "guest:/run/trace", tmp_path], timeout=END_SECONDS, check=True)
        assert (tmp_path / "trace").read_text() == "it is this guest"
        other_bake = run_bakery(project, "bake", "web", code=ExitCode.TRY_AGAIN, seconds=END_SECONDS)
        assert "error: web is being baked by another process" in other_bake.stderr
        terminal = ["script", "-qec", f"stty rows 33 cols 99; {' '.join(words)} -t stty size", "/dev/null"]
        size = subprocess.run(terminal, capture_output=True, text=True, timeout=END_SECONDS, check=True).stdout
        assert size.strip().endswith("33 99")
        assert log_in(words, "poweroff").returncode in (0, 255)
        assert bake.end() == 1
        assert_nothing_runs(project)
        assert not folder.exists()
        kept = project / ".bakery" / "artifacts" / ".web" / ".kept"
        assert f"the disk is kept until the next bake of web: 'sh {kept}/start.sh' boots it" in bake.text
        assert (kept / "disk.qcow2").exists()
        assert bake.text.count("the guest still runs") == 1, "the role's line is not the bakery's"
