import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.host import process
from bakery.host.errors import BakeryError, DiskError, ExitCode
from bakery.host.process import Finished, ProcessError
from bakery.host.redaction import REDACTED

SCRIPTS = Path(process.__file__).parents[2]
FOREVER = "120"  # seconds; whoever sleeps so long must be stopped

pytestmark = pytest.mark.usefixtures("short_grace")


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.05)


def sh(script: str, **options: object) -> Finished:
    return process.run(["sh", "-c", script], **options)  # type: ignore[arg-type]


def ended(pid: int) -> bool:
    """Whether a process is gone; one that nobody waited for yet is gone too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def all_ended(file: Path, count: int) -> bool:
    """Whether the processes in a file are gone, soon after whoever stopped them came back."""
    wait_until(lambda: all(map(ended, pids(file, count))))
    return True


def pids(file: Path, count: int) -> list[int]:
    """Process ids that a script wrote to a file, one per line."""
    wait_until(lambda: file.exists() and len(file.read_text().split()) == count)
    return [int(pid) for pid in file.read_text().split()]


class TestRun:
    def test_result(self, tmp_path: Path) -> None:
        finished = process.run(["sh", "-c", 'echo "$0 $PWD"; echo aside >&2', tmp_path], cwd=tmp_path)
        assert (finished.returncode, finished.stdout) == (0, f"{tmp_path} {tmp_path}\n")
        assert finished.argv[-1] == str(tmp_path)
        assert finished.seconds > 0

    def test_failure_says_what_the_program_said(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        with pytest.raises(ProcessError, match="sh failed with exit code 7") as caught:
            sh("echo one; echo two >&2; exit 7", log=log)
        error = caught.value
        assert (error.returncode, sorted(error.tail.splitlines()), error.log) == (7, ["one", "two"], log)
        assert (error.detail, error.exit_code) == (error.tail, ExitCode.FAILED)

    def test_tail_is_the_end_of_the_output(self) -> None:
        with pytest.raises(ProcessError) as caught:
            sh("seq 1000; exit 1")
        assert caught.value.tail.splitlines() == [str(number) for number in range(961, 1001)]

    def test_failure_may_be_expected(self) -> None:
        assert sh("exit 7", check=False).returncode == 7
        assert sh("kill -9 $$", check=False).returncode == -9

    def test_missing_program(self) -> None:
        with pytest.raises(ProcessError, match="no-such-program is not installed") as caught:
            process.run(["no-such-program", "--version"])
        assert (caught.value.returncode, caught.value.hint) == (127, "run 'bakery doctor' to see what is missing")

    def test_file_that_is_no_program(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("data")
        with pytest.raises(ProcessError, match="data is not installed"):
            process.run([tmp_path / "data"])

    def test_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ProcessError, match="sh cannot be started"):
            sh("true", cwd=tmp_path / "gone")

    def test_has_no_input(self) -> None:
        code = "from bakery.host import process; print(process.run(['cat']).stdout or 'nothing')"
        environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
        seen = subprocess.check_output([sys.executable, "-c", code], input=b"ours", env=environment)
        assert seen == b"nothing\n"

    def test_much_output_on_both_streams(self) -> None:
        finished = sh("seq 50000; seq 50000 >&2; echo end")
        assert len(finished.stdout.splitlines()) == 50001

    def test_output_that_is_not_text(self) -> None:
        assert sh(r"printf '\377\n'").stdout == "\ufffd\n"


class TestOutput:
    def test_log_gets_both_streams_and_grows(self, tmp_path: Path) -> None:
        log = tmp_path / "logs" / "bake.log"
        for _ in range(2):
            sh("echo out; echo err >&2", log=log)
        assert sorted(log.read_text().splitlines()) == ["err", "err", "out", "out"]

    def test_listener_gets_lines_as_they_come(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        lines: list[str] = []

        def listen(line: str) -> None:
            lines.append(line)
            gate.touch()

        sh(f"echo first; while [ ! -e {gate} ]; do sleep 0.01; done; printf 'last without end'", on_output=listen)
        assert lines == ["first", "last without end"]

    def test_log_that_cannot_be_written_starts_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(BakeryError, match="cannot be written: Is a directory") as caught:
            sh(f"touch {tmp_path}/started", log=tmp_path)
        assert caught.value.where == str(tmp_path)
        time.sleep(0.05)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("output", ["seq 100000", "echo x"])
    def test_full_disk_stops_the_program(self, tmp_path: Path, output: str) -> None:
        with pytest.raises(DiskError, match="cannot be written: No space left on device"):
            sh(f"echo $$ > {tmp_path}/pids; {output}; exec sleep {FOREVER}", log=Path("/dev/full"), timeout=20)
        assert all_ended(tmp_path / "pids", 1)

    def test_listener_that_fails_stops_the_program(self, tmp_path: Path) -> None:
        def listen(line: str) -> None:
            raise BakeryError(f"not {line}")

        with pytest.raises(BakeryError, match="not this"):
            sh(f"echo $$ > {tmp_path}/pids; echo this; seq 100000; exec sleep {FOREVER}", on_output=listen, timeout=20)
        assert all_ended(tmp_path / "pids", 1)

    def test_daemon_that_holds_the_output_does_not_hold_us(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(process, "SILENT_SECONDS", 0.05, raising=False)
        file = tmp_path / "pids"
        daemon = f"setsid sh -c 'echo $$ > {file}; exec sleep {FOREVER}'"
        finished = sh(f"{daemon} & while [ ! -s {file} ]; do sleep 0.01; done; echo done")
        os.kill(pids(file, 1)[0], signal.SIGKILL)
        assert finished.stdout == "done\n"


class TestStop:
    def test_timeout_ends_children_and_grandchildren(self, tmp_path: Path) -> None:
        script = f"sleep {FOREVER} & echo $! $$ > {tmp_path}/pids; sh -c 'sleep {FOREVER}; true'"
        with pytest.raises(ProcessError, match=r"sh did not end within 0\.3 s") as caught:
            sh(f"echo working; {script}", timeout=0.3, log=tmp_path / "log")
        assert caught.value.returncode < 0
        assert (caught.value.tail, caught.value.log) == ("working", tmp_path / "log")
        assert all_ended(tmp_path / "pids", 2)

    def test_timeout_ends_what_ignores_signals(self, tmp_path: Path) -> None:
        script = f"trap '' INT TERM; sleep {FOREVER} & echo $! $$ > {tmp_path}/pids; wait"
        with pytest.raises(ProcessError):
            sh(script, timeout=0.3)
        assert all_ended(tmp_path / "pids", 2)

    def test_program_may_clean_up_when_interrupted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "GRACE_SECONDS", 20.0)
        script = f"trap 'echo cleaned; touch {tmp_path}/cleaned; exit 1' INT; while :; do sleep 0.01; done"
        with pytest.raises(ProcessError) as caught:
            sh(script, timeout=0.3)
        assert (tmp_path / "cleaned").exists()
        assert "cleaned" in caught.value.tail

    def test_a_program_may_have_more_time_for_it_than_others(self, tmp_path: Path) -> None:
        script = f"trap 'echo >> {tmp_path}/signals; sleep 0.5; exit 1' INT TERM; while :; do sleep 0.01; done"
        with pytest.raises(ProcessError):
            sh(script, timeout=0.3, grace=20.0)
        assert (tmp_path / "signals").read_text() == "\n"

    @pytest.mark.parametrize("code", [0, 3])
    def test_nothing_is_left_of_a_program_that_ended(self, tmp_path: Path, code: int) -> None:
        sh(f"sleep {FOREVER} >/dev/null 2>&1 & echo $! > {tmp_path}/pids; exit {code}", check=False)
        assert all_ended(tmp_path / "pids", 1)

    def test_interrupt_stops_the_program(self, tmp_path: Path) -> None:
        code = f"""
import sys
from pathlib import Path
from bakery.host import process
try:
    process.run(["sh", "-c", "sleep {FOREVER} & echo $! $$ > {tmp_path}/pids; wait"])
except KeyboardInterrupt:
    sys.exit(130)
"""
        child = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SCRIPTS)})
        pids(tmp_path / "pids", 2)
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
        assert all_ended(tmp_path / "pids", 2)

    def test_an_interrupt_while_a_program_starts_stops_it_as_well(self, tmp_path: Path) -> None:
        code = f"""
import sys
from bakery.host import process
try:
    process.run(["sh", "-c", "sleep {FOREVER} & echo $! $$ > {tmp_path}/pids; kill -INT $PPID; wait"])
except KeyboardInterrupt:
    sys.exit(130)
"""
        command = [sys.executable, "-c", code]
        assert subprocess.run(command, env=os.environ | {"PYTHONPATH": str(SCRIPTS)}, timeout=20).returncode == 130
        assert all_ended(tmp_path / "pids", 2)

    def test_second_interrupt_kills_at_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "GRACE_SECONDS", 3600.0)
        child = process.spawn(["sh", "-c", f"trap '' INT; echo > {tmp_path}/up; sleep {FOREVER}"], log=tmp_path / "log")
        wait_until((tmp_path / "up").exists)
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            process.stop(child)
        assert child.returncode == -signal.SIGKILL

    @pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv: install util-linux")
    def test_death_of_ours_ends_the_program(self, tmp_path: Path) -> None:
        code = "import sys; from bakery.host import process; process.run(['sh', '-c', sys.argv[1]])"
        script = f"echo $$ > {tmp_path}/pids; exec sleep {FOREVER}"
        ours = subprocess.Popen([sys.executable, "-c", code, script], env=os.environ | {"PYTHONPATH": str(SCRIPTS)})
        pids(tmp_path / "pids", 1)
        ours.kill()
        ours.wait(20)
        assert all_ended(tmp_path / "pids", 1)

    @pytest.mark.parametrize("ignored", ["", "INT"])
    def test_interrupt_of_other_threads(self, tmp_path: Path, ignored: str) -> None:
        errors: list[BaseException] = []

        def work(name: str) -> None:
            try:
                sh(f"trap '' {ignored or 'USR1'}; echo $$ > {tmp_path}/{name}; sleep {FOREVER}")
            except BakeryError as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for name in "ab":
            pids(tmp_path / name, 1)

        def interrupted() -> bool:
            """Once may be too early: a program can run before the thread that started it knows."""
            process.interrupt_all()
            return not any(thread.is_alive() for thread in threads)

        wait_until(interrupted)
        assert len(errors) == 2
        assert all(all_ended(tmp_path / name, 1) for name in "ab")
        assert sh("echo later").stdout == "later\n"


class TestSpawn:
    def test_runs_beside_us_until_stopped(self, tmp_path: Path) -> None:
        log = tmp_path / "logs" / "guest.log"
        child = process.spawn(
            ["sh", "-c", f"echo $GREETING; echo err >&2; sleep {FOREVER}"], log=log, env={"GREETING": "hi"}
        )
        wait_until(lambda: log.read_text() == "hi\nerr\n")
        assert child.poll() is None
        process.stop(child)
        assert child.returncode is not None
        assert ended(child.pid)

    def test_stop_of_what_ended(self, tmp_path: Path) -> None:
        child = process.spawn(["true"], log=tmp_path / "log")
        child.wait(20)
        process.stop(child)
        assert child.returncode == 0

    @pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv: install util-linux")
    @pytest.mark.parametrize("outlive", [True, False])
    def test_may_outlive_us(self, tmp_path: Path, outlive: bool) -> None:
        code = f"""
import os
from pathlib import Path
from bakery.host import process
child = process.spawn(["sleep", "{FOREVER}"], log=Path("{tmp_path}/log"), outlive={outlive})
while Path(f"/proc/{{child.pid}}/comm").read_text() != "sleep\\n":
    pass  # until setpriv has done its work
print(child.pid, flush=True)
os._exit(0)
"""
        output = subprocess.check_output([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SCRIPTS)})
        pid = int(output)
        if outlive:
            time.sleep(0.1)
            assert not ended(pid)
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ended(pid))

    def test_interrupt_reaches_what_runs_beside_us_and_is_not_meant_to_stay(self, tmp_path: Path) -> None:
        guest, server = (
            process.spawn(["sleep", FOREVER], log=tmp_path / "log", outlive=outlive) for outlive in (False, True)
        )
        process.interrupt_all()
        guest.wait(20)
        assert server.poll() is None
        process.stop(server)


class TestWhich:
    @pytest.fixture
    def tool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        tool = tmp_path / "some-tool"
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
        return tool

    def test_path(self, tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tool.parent))
        assert process.which("some-tool") == str(tool)
        assert process.which("some-tool", "/nowhere") is None
        assert process.which("no-such-tool") is None

    def test_what_debian_leaves_out_of_a_path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tools = [path for folder in ("/usr/sbin", "/sbin") for path in Path(folder).glob("mke2fs")]
        if not tools:
            pytest.skip("no mke2fs: install e2fsprogs")
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        assert process.which("mke2fs") in [str(tool) for tool in tools]


class TestEnvironment:
    def test_is_minimal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("BAKERY_SECRET", "AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN", "PYTHONPATH", "LD_PRELOAD_NOT"):
            monkeypatch.setenv(name, "mine")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        seen = dict(line.split("=", 1) for line in process.run(["env"], env={"GIVEN": "1"}).stdout.splitlines())
        assert "mine" not in seen.values()
        assert (seen["GIVEN"], seen["https_proxy"]) == ("1", "http://127.0.0.1:9")
        assert seen.keys() <= {*process.PASSED_ON, "GIVEN", "PWD", "SHLVL", "_"}

    @pytest.mark.parametrize(
        ("name", "locale"), [("LC_ALL", "C"), ("LC_ALL", "POSIX"), ("LC_ALL", "xx_XX.UTF-8"), ("LANG", "xx_XX.UTF-8")]
    )
    def test_a_child_has_a_locale_that_exists_and_takes_utf_8(
        self, monkeypatch: pytest.MonkeyPatch, name: str, locale: str
    ) -> None:
        """Ansible ends at once without one."""
        monkeypatch.delenv("LC_ALL", raising=False)
        monkeypatch.setenv(name, locale)
        code = "import locale; print(locale.setlocale(locale.LC_ALL, ''), locale.getencoding())"
        assert process.run([sys.executable, "-c", code]).stdout == "C.UTF-8 UTF-8\n"

    def test_given_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LANG", "mine")
        assert sh("echo $LANG", env={"LANG": "theirs"}).stdout == "theirs\n"

    def test_path_that_is_given_finds_the_program(self, tmp_path: Path) -> None:
        tool = tmp_path / "tool"
        tool.write_text(f"#!{shutil.which('sh')}\necho found\n")
        tool.chmod(0o755)
        assert process.run(["tool"], env={"PATH": str(tmp_path)}).stdout == "found\n"


class TestSecrets:
    KEY = "-----BEGIN KEY-----\nAAAAbbbb\n  CCCCdddd\n}\n-----END KEY-----\n"

    @pytest.mark.parametrize("secret", ["hunter2", "with space", "ünïcode", "a.b*c[d", 'quo"te', "back\\slash", KEY])
    def test_never_come_out(self, tmp_path: Path, secret: str) -> None:
        log, lines = tmp_path / "log", list[str]()
        script = 'printf "%s\n" "$SECRET"; printf "x%sy\n" "$SECRET" >&2; printf "%s\n" "$JSON"; exit 3'
        environment = {"SECRET": secret, "JSON": json.dumps({"value": secret})}
        finished = sh(script, env=environment, secrets=[secret], log=log, on_output=lines.append, check=False)
        with pytest.raises(ProcessError) as caught:
            sh(script, env=environment, secrets=[secret])
        told = [finished.stdout, log.read_text(), "\n".join(lines), caught.value.tail, caught.value.detail]
        parts = [part.strip() for part in secret.splitlines() if len(part.strip()) > 3]
        for text in told:
            assert REDACTED in text
            assert not any(part in text or json.dumps(part)[1:-1] in text for part in parts)

    def test_secret_in_pieces_of_a_line(self) -> None:
        assert sh("printf hun; sleep 0.05; printf 'ter2\\n'", secrets=["hunter2"]).stdout == f"{REDACTED}\n"

    def test_longer_secret_first(self) -> None:
        assert sh("echo hunter2000", secrets=["hunter2", "hunter2000"]).stdout == f"{REDACTED}\n"

    def test_what_replaces_one_is_not_searched_for_another(self) -> None:
        assert sh("echo hunter2", secrets=["hunter2", "red"]).stdout == f"{REDACTED}\n"

    def test_other_text_stays(self) -> None:
        assert sh("echo '{\"a\": {}}'", secrets=["", " ", "\n", self.KEY]).stdout == '{"a": {}}\n'
