"""The guest of a failed bake, which stays for a login. test_kept_guest.py of the integration tests has a real one."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.bake import bake, give_connections, kept_guest, packer, take_connection
from bakery.bake.request import BakeContext, BakeRequest
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.host.waiting import wait_until
from bakery.machine import qemu
from doubles.packer import PackerProject, define
from doubles.programs import Programs

SECRET = "canary-4711"
# A guest whose SSH says hello, and which ends when it hears anything.
GUEST = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1].split(":")[-2].removesuffix("-"))))
while True:
    connection, _ = server.accept()
    connection.sendall(b"hello")
    if connection.recv(8):
        break
"""
FAIL = "ansible('TASK [nginx : Install it] ***', 'fatal: [image]: FAILED! => {\"msg\": \"no\"}'); sys.exit(1)"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: PackerProject) -> Programs:
    """Stand-ins, with an `ssh` that logs in and notes its environment."""
    programs = Programs(tmp_path / "programs", monkeypatch)
    for name in ("mformat", "mcopy"):
        programs.shell(name)
    programs.shell("ssh", f"env >{tmp_path}/environment")
    return programs


@pytest.fixture
def port() -> int:
    return qemu.free_port()


def leave(world: PackerProject, port: int, then: str = FAIL) -> None:
    """Let Packer start a guest and leave it."""
    world.packer(
        f"""
disk()
words = [{sys.executable!r}, "-c", {GUEST!r}, "user,id=user.0,hostfwd=tcp:127.0.0.1:{port}-:22", str(output)]
process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while ":{port:04X} " not in pathlib.Path("/proc/net/tcp").read_text():
    time.sleep(0.05)
pathlib.Path(variables["pid_file"]).write_text(str(process.pid))
pathlib.Path({str(world.folder / "guest")!r}).write_text(str(process.pid))
{then}
"""
    )


def fail(world: PackerProject, on_note: Callable[[Event], None] = lambda _: None) -> BakeryError:
    """The error of a bake that keeps its guest; `on_note` is called for each note of it."""

    def report(event: Event) -> None:
        world.events.append(event)
        if event.kind == "note" and "guest" in event.text:
            on_note(event)

    context = BakeContext(world.project, world.toolchain, None, report, keep=True, keep_guest=True)
    with pytest.raises(BakeryError) as caught:
        bake(BakeRequest(define(), "1.0.0", {}, "k" * 64), world.base, context)
    return caught.value


def config_of(event: Event) -> Path:
    return Path(event.text.split("'ssh -F ")[1].split(" guest'")[0])


def connect(config: Path) -> socket.socket:
    """The connection that ssh gets."""
    [line] = [line for line in config.read_text().splitlines() if "ProxyCommand" in line]
    ours, its = socket.socketpair()
    with ours, its:
        subprocess.run(shlex.split(line.split("ProxyCommand ")[1]), stdout=its.fileno(), check=True)
        _, [descriptor], _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptor)


def power_off(event: Event) -> None:
    for _ in range(2):  # logins one after the other
        with connect(config_of(event)) as connection:
            assert connection.recv(8) == b"hello"
    with connect(config_of(event)) as connection:
        connection.sendall(b"poweroff")


def notes(world: PackerProject) -> list[str]:
    return [event.text for event in world.events if event.kind == "note" and "guest" in event.text]


def test_a_guest_waits_for_logins_until_it_ends(world: PackerProject, programs: Programs, port: int) -> None:
    leave(world, port)
    configs: list[str] = []

    def look(event: Event) -> None:
        assert world.guest_lives()
        configs.append(config_of(event).read_text())
        power_off(event)

    error = fail(world, look)
    assert error.message == "task 'nginx : Install it' failed: no"
    assert "the disk is kept until the next bake of web" in error.hint
    [note] = notes(world)
    config = Path(note.split("-F ")[1].split()[0])
    assert note == (
        f"task 'nginx : Install it' failed: no; the guest still runs: 'ssh -F {config} guest' logs in as root; "
        "'poweroff' in it ends the bake and keeps the disk, Ctrl-C here ends it and keeps no disk"
    )
    assert world.events[world.events.index(Event("note", "bake", "web 1.0.0", note)) + 1].text == (
        "waiting for the end of the guest"
    )
    variables = world.record()["variables"]
    assert f'IdentityFile "{variables["ssh_private_key"]}"' in configs[0]
    assert f'UserKnownHostsFile "{variables["ssh_known_hosts"]}"' in configs[0]
    assert "StrictHostKeyChecking yes\n  HostKeyAlias image\n" in configs[0]
    assert "User root\n" in configs[0]
    assert programs.calls("ssh") == [f"-F {config} -o ProxyCommand=none -p {port} guest true"]
    assert not config.parent.exists()
    assert not world.guest_lives()


def test_a_login_fails_while_the_guest_takes_no_connection(tmp_path: Path) -> None:
    command = [sys.executable, "-IS", take_connection.__file__, str(tmp_path / "none")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (
        1,
        "error: the guest takes no connection: it has ended, or it boots\n",
    )


def test_no_program_beside_the_guest_has_the_secrets(
    world: PackerProject, programs: Programs, port: int, tmp_path: Path
) -> None:
    leave(world, port)
    environments: list[bytes] = []

    def look(event: Event) -> None:
        if event.kind != "note":
            return
        for proc in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.fsencode(config_of(event).with_name("guest")) in (proc / "cmdline").read_bytes():
                    environments.append((proc / "environ").read_bytes())
        power_off(event)

    job = replace(world.job(define()), keep=True, keep_guest=True, report=look)
    with pytest.raises(BakeryError):
        packer.build(job, {"PKR_VAR_secret_values": SECRET}, [])
    assert world.record()["env"]["PKR_VAR_secret_values"] == SECRET
    assert environments and not [text for text in environments if SECRET.encode() in text]
    assert SECRET not in (tmp_path / "environment").read_text()


@pytest.mark.parametrize("missing", ["login", "port", "process", "pid file"])
def test_a_guest_without_a_login_is_not_kept(world: PackerProject, programs: Programs, port: int, missing: str) -> None:
    programs.shell("timeout", "exit 124" if missing == "login" else "exit 0")
    pid_file = "pathlib.Path(variables['pid_file'])"
    before = {
        "login": "",
        "port": f"{pid_file}.write_text('1'); ",
        "process": "process.kill(); process.wait(); ",
        "pid file": f"{pid_file}.unlink(); ",
    }
    leave(world, port, before[missing] + FAIL)
    error = fail(world)
    assert error.message == "task 'nginx : Install it' failed: no"
    assert "the disk is kept" in error.hint
    assert notes(world) == []
    assert [call.split()[0] for call in programs.calls("timeout")] == (["20"] if missing == "login" else [])
    assert not world.guest_lives()


def test_a_bake_that_ends_well_keeps_no_guest(world: PackerProject, programs: Programs, port: int) -> None:
    leave(world, port, "manifest(); done()")
    programs.shell("ssh", "exit 1")
    context = BakeContext(world.project, world.toolchain, None, world.events.append, keep=True, keep_guest=True)
    bake(BakeRequest(define(), "1.0.0", {}, "k" * 64), world.base, context)
    assert programs.calls("ssh") == []
    assert not world.guest_lives()


def test_a_role_cannot_say_that_the_guest_waits(world: PackerProject, programs: Programs) -> None:
    world.packer(f"print({give_connections.READY!r}, flush=True); {FAIL}")
    fail(world)
    assert notes(world) == []


def test_an_interrupted_packer_leaves_no_guest_for_a_login(programs: Programs, tmp_path: Path) -> None:
    programs.shell("ssh", "exit 1")
    works = "import time\ntime.sleep(60)"
    ends = "import sys,time\ntry:\n print('works', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n"
    ends += " time.sleep(0.3); print('tidied up'); sys.exit(1)"
    words: list[str | Path] = [
        "sh",
        kept_guest.SCRIPT,
        tmp_path / "pid",
        "config",
        sys.executable,
        give_connections.__file__,
        "socket",
    ]
    with subprocess.Popen([sys.executable, "-c", works, "hostfwd=tcp:127.0.0.1:1-:22"]) as guest:
        (tmp_path / "pid").write_text(str(guest.pid))
        child = subprocess.Popen(
            [*words, sys.executable, "-c", ends], start_new_session=True, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout and child.stdout.readline() == "works\n"
        os.killpg(child.pid, signal.SIGINT)
        assert child.communicate(timeout=40)[0] == "tidied up\n"
        guest.kill()
    assert child.returncode == 1
    assert programs.calls("ssh") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_wait_ends_the_guest(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(["sleep", "60"]) as guest:
        words: list[str | Path] = [
            sys.executable,
            "-IS",
            give_connections.__file__,
            tmp_path / "socket",
            "1",
            str(guest.pid),
            "3",
        ]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert child.stdout and child.stdout.readline() == f"{give_connections.READY}\n"
        child.send_signal(number)
        assert child.wait(20) == 128 + number
        assert guest.wait(20) == -signal.SIGKILL


def test_the_end_of_the_bakery_ends_the_guest(world: PackerProject, programs: Programs, port: int) -> None:
    """Here without namespaces, which would end with it as well."""
    leave(world, port)
    if (child := os.fork()) == 0:
        fail(world, lambda _: time.sleep(60))
        os._exit(0)
    try:
        assert wait_until(lambda: any(world.project.workspace.rglob("tmp/guest")) or None, 30, 0.05)
        assert world.guest_lives()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert wait_until(lambda: not world.guest_lives() or None, 20, 0.05)


def test_only_a_guest_with_a_login_by_key_is_kept(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def words(**changes: object) -> list[str | Path]:
        job = world.job(define(mode=changes.get("mode", "vm")))
        definition = job.definition.model_copy(update=changes)
        return kept_guest.keep_guest(
            replace(job, definition=definition, keep_guest=bool(changes.get("keep_guest", True))), job.scratch
        )

    assert words()
    assert words(template="own")
    assert words(mode="chroot") == []
    assert words(os="windows-server-2022") == []
    assert words(keep_guest=False) == []
