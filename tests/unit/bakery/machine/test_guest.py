import json
import os
import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bakery.machine import guest as guests
from bakery.machine import qemu
from bakery.machine.guest import Guest, GuestError, Patience, boot_guest, last_lines
from doubles.programs import Programs

# A guest: boots (prints), then its SSH server greets everybody.
QEMU = """
import os, re, socket, time
open({pid!r}, "w").write(str(os.getpid()))
serial = open(re.search(r"-serial file:(\\S+)", " ".join(sys.argv))[1], "w", buffering=1)
port = int(re.search(r"hostfwd=tcp:127.0.0.1:(\\d+)-:22", " ".join(sys.argv))[1])
def serve():
    server = socket.create_server(("127.0.0.1", port))
    while True:
        server.accept()[0].sendall(b"SSH-2.0-stand-in\\r\\n")
"""
BOOTS = "print('Debian starts', file=serial); serve()"

ROOT = Path(__file__).parents[4]
Boot = Callable[..., AbstractContextManager[Guest]]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs(tmp_path / "bin", monkeypatch)
    for name in ("qemu-img", "mformat", "mcopy"):
        found.shell(name)
    found.shell("ssh", 'case "$*" in *-M*) exec sleep 60 ;; esac')
    return found


@pytest.fixture
def boot(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Boot:
    """Boots a stand-in that runs a piece of Python."""
    monkeypatch.setattr(guests, "POLL_SECONDS", 0.01)
    firmware = tmp_path / "code.fd", tmp_path / "vars.fd"
    for path in (*firmware, tmp_path / "key", tmp_path / "key.pub", tmp_path / "disk.qcow2"):
        path.write_text("content")
    monkeypatch.setattr(qemu, "FIRMWARE", (firmware,))

    def start(body: str, patience: Patience | None = None) -> Any:
        programs.python(qemu.SYSTEM, QEMU.format(pid=str(tmp_path / "pid")) + body)
        folder = tmp_path / "logs"
        folder.mkdir()
        return boot_guest(
            tmp_path / "disk.qcow2",
            user="tester",
            key=tmp_path / "key",
            folder=folder,
            accelerator="tcg",
            patience=patience,
        )

    return start


def assert_gone(tmp_path: Path) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["qemu.log", "serial.log"]


def test_a_guest_that_answers_is_gone_afterwards(tmp_path: Path, boot: Boot, programs: Programs) -> None:
    with boot(BOOTS) as running:
        assert running.address == "127.0.0.1"
        running.ssh("uname", "-a")
        assert any(call.endswith("guest uname -a") for call in programs.calls("ssh"))
    assert_gone(tmp_path)
    assert "Debian starts" in running.serial.read_text()


def test_the_way_in_is_loopback_and_there_is_no_way_out(tmp_path: Path, boot: Boot, programs: Programs) -> None:
    with boot(BOOTS):
        pass
    (command,) = programs.calls(qemu.SYSTEM)
    assert "restrict=on,hostfwd=tcp:127.0.0.1:" in command
    assert "accel=tcg" in command


def test_the_disk_itself_is_never_opened(tmp_path: Path, boot: Boot, programs: Programs) -> None:
    with boot(BOOTS):
        pass
    disk = str(tmp_path / "disk.qcow2")
    assert f"-b {disk}" in programs.calls("qemu-img")[0]
    assert disk not in programs.calls(qemu.SYSTEM)[0]


def test_a_failing_body_stops_the_guest(tmp_path: Path, boot: Boot) -> None:
    with pytest.raises(ZeroDivisionError), boot(BOOTS):
        raise ZeroDivisionError
    assert_gone(tmp_path)


def test_logins_may_be_refused_while_the_guest_boots(boot: Boot, programs: Programs) -> None:
    # As PAM does until the boot is over.
    programs.shell("ssh", f'case "$*" in *-M*) exec sleep 60 ;; esac; test $(wc -l <{programs.folder}/ssh.calls) -gt 2')
    with boot(BOOTS):
        assert len(programs.calls("ssh")) >= 3


def test_a_connection_without_a_greeting_is_no_guest_yet(boot: Boot, programs: Programs) -> None:
    # QEMU accepts for the guest and hangs up when nobody listens there.
    mute = "\nserver = socket.create_server(('127.0.0.1', port))\nwhile True: server.accept()[0].close()"
    with pytest.raises(GuestError), boot(mute, Patience(silence=60, total=0.3)):
        pytest.fail("nobody spoke SSH")
    assert programs.calls("ssh") == []


def test_a_guest_that_ends_says_why(tmp_path: Path, boot: Boot) -> None:
    with (
        pytest.raises(GuestError, match="ended before") as failure,
        boot("print('\\033[1mKernel panic\\033[0m', file=serial); sys.exit('qemu: no such machine')"),
    ):
        pytest.fail("it never answered")
    assert failure.value.detail == "Kernel panic\nqemu: no such machine"
    assert failure.value.log == tmp_path / "logs" / "serial.log"
    assert_gone(tmp_path)


def test_silence_ends_the_wait(tmp_path: Path, boot: Boot) -> None:
    with (
        pytest.raises(GuestError, match="was silent") as failure,
        boot("print('the end', file=serial); time.sleep(60)", Patience(silence=2, total=60)),
    ):
        pytest.fail("it never answered")
    assert failure.value.detail == "the end"
    assert_gone(tmp_path)


def test_a_kernel_that_reports_its_own_lockup_is_not_waited_for(tmp_path: Path, boot: Boot) -> None:
    report = "watchdog: BUG: soft lockup - CPU#0 stuck for {}s! [cryptomgr_test:51]"
    reports = f"\nfor seconds in (26, 52, 182): print({report!r}.format(seconds), file=serial)\ntime.sleep(60)"
    with (
        pytest.raises(GuestError, match="has been stuck for 182 s") as failure,
        boot(reports, Patience(silence=60, total=60)),
    ):
        pytest.fail("it never answered")
    assert "stuck for 182s" in failure.value.detail
    assert_gone(tmp_path)


def test_a_kernel_that_was_stuck_for_a_while_is_waited_for(boot: Boot) -> None:
    report = "print('BUG: soft lockup - CPU#0 stuck for 26s!', file=serial)"
    with boot(f"{report}\n{BOOTS}", Patience(silence=60, total=60)):
        pass


def test_words_do_not_extend_the_total(tmp_path: Path, boot: Boot) -> None:
    chatter = "\nwhile True: print('still here', file=serial); time.sleep(0.01)"
    with pytest.raises(GuestError, match="within 2 s"), boot(chatter, Patience(silence=60, total=2)):
        pytest.fail("it never answered")
    assert_gone(tmp_path)


def test_last_lines_are_plain_and_few(tmp_path: Path) -> None:
    serial = tmp_path / "serial.log"
    assert last_lines(serial) == ""
    serial.write_bytes(b"\x1b[2J\x1b[01;01H\r\n" + b"\r\n".join(b"[  OK  ] line %d\xff" % line for line in range(50)))
    lines = last_lines(serial).splitlines()
    assert len(lines) == guests.SERIAL_LINES
    assert lines[-1].startswith("[  OK  ] line 49")


def test_the_page_boots_a_disk_as_verify_does(tmp_path: Path, boot: Boot, programs: Programs) -> None:
    """The commands of the page, run with stand-ins, against those of the bakery, without paths and ports."""
    with boot(BOOTS):
        pass
    page = (ROOT / "docs" / "how-to" / "debug-a-failed-bake.md").read_text()
    script = page.split("## Boot a baked image by hand")[1].split("```")[1]
    programs.shell(qemu.SYSTEM)
    programs.shell("ssh-keygen", "echo public >key.pub")
    programs.shell("cp")
    programs.shell("mktemp", f"echo {tmp_path}")
    subprocess.run(["sh", "-eu", "-c", script], cwd=tmp_path, check=True)
    for name in ("mformat", "mcopy", "qemu-img", qemu.SYSTEM):
        by_bakery, by_hand = map(words_of, programs.calls(name))
        assert by_hand == by_bakery, name
    user_data = YAML(typ="safe").load(tmp_path / "user-data")
    assert [user["ssh_authorized_keys"] for user in user_data["users"]] == [["public"]]
    assert user_data["users"][0].keys() == {"name", "sudo", "shell", "ssh_authorized_keys"}
    assert json.loads((tmp_path / "meta-data").read_text()).keys() == {"instance-id", "local-hostname"}


def words_of(call: str) -> list[str]:
    """The words of a command without paths and ports; a console may be a file or the terminal."""
    words = re.sub(r"-serial \S+", "-serial CONSOLE", call)
    words = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", words)
    return re.sub(
        r"(?<=file=)\S+|(?<= )/\S+|(?<= )[\w-]+\.(?:img|qcow2)|(?<= )(?:user|meta)-data", "FILE", words
    ).split()
