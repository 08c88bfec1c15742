"""The only module that starts programs: minimal environment, redacted output, timeouts, no orphans."""

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bakery.host.errors import BakeryError, DiskError
from bakery.host.files import hint_at_refusal
from bakery.host.redaction import Redactor

# Variables that a child gets: the paths of programs and certificates, and the user's proxy.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TERM", "TMPDIR", "XDG_CACHE_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
# Ansible refuses another encoding and a locale that this machine lacks; every Debian and Fedora has this one.
LOCALE = {"LC_ALL": "C.UTF-8"}
GRACE_SECONDS = 30.0  # Packer needs up to about 10 s to stop a guest and remove its files after SIGINT
POLL_SECONDS = 0.2  # longest delay before an interrupt or a full disk is seen
SILENT_SECONDS = 1.0  # wait for the output of a child that ended: a daemon of the child may keep it open
KEPT_LINES = 40  # of output shown with a failure; the rest is in the log

_running: set[subprocess.Popen[bytes]] = set()  # children that `run` waits for now, in any thread
_interrupted: set[subprocess.Popen[bytes]] = set()  # children of these that must end
_spawned: set[subprocess.Popen[bytes]] = set()  # children that `spawn` started and that still run


@dataclass(frozen=True)
class Finished:
    """The result of a program: its exit code, its standard output (redacted) and wall seconds."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    seconds: float


class ProcessError(BakeryError):
    """A program failed; `returncode` is its exit code (negative: signal), `tail` its last output lines."""

    def __init__(self, message: str, returncode: int, tail: str, *, hint: str = "", log: Path | None = None) -> None:
        super().__init__(message, detail=tail, hint=hint, log=log)
        self.returncode = returncode
        self.tail = tail


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
    cwd: Path | None = None,
    timeout: float | None = None,
    grace: float | None = None,
    log: Path | None = None,
    on_output: Callable[[str], None] | None = None,
    check: bool = True,
) -> Finished:
    """Run `argv` to its end.

    `env` is added to the minimal environment, `secrets` are values that never reach `log`, `on_output` or an error,
    `timeout` is in seconds, `log` gets stdout and stderr as they come. Raises ProcessError on a non-zero exit (unless
    `check` is False), on timeout, and when the program is missing. On any exception the whole process group is stopped,
    with `grace` seconds to end by itself.
    """
    command = tuple(str(part) for part in argv)
    name = Path(command[0]).name
    began = time.monotonic()
    with _Output(Redactor(secrets), log, on_output) as output:
        child: subprocess.Popen[bytes] | None = None
        try:
            with _delay_interrupts():
                child = _start_child(command, env or {}, cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            _running.add(child)
            output.follow(child)
            reason = _wait_for_child(child, output, timeout)
        finally:
            if child is not None:
                stop(child, grace)
                _running.discard(child)
                _interrupted.discard(child)
    if reason:
        raise ProcessError(f"{name} {reason}", -signal.SIGTERM, output.tail(), log=log)
    if check and child.returncode != 0:
        raise ProcessError(f"{name} failed with exit code {child.returncode}", child.returncode, output.tail(), log=log)
    return Finished(command, child.returncode, output.stdout(), time.monotonic() - began)


def spawn(
    argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, outlive: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program that runs beside this one (a guest, a server); output goes to `log`. The caller must `stop` it.

    With `outlive` it keeps running after this one.
    """
    command = tuple(str(part) for part in argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        child = _start_child(command, env or {}, None, stdout=stream, stderr=stream, outlive=outlive)
    if not outlive:
        _spawned.add(child)
    return child


def stop(child: subprocess.Popen[bytes], grace: float | None = None) -> None:
    """End a child's whole process group: interrupt, then terminate, then kill, waiting `grace` seconds before each.

    A second interrupt kills it at once.
    """
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if child.poll() is None:
                _signal_group(child, number)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(GRACE_SECONDS if grace is None else grace)
    finally:
        _signal_group(child, signal.SIGKILL)  # also children that outlived their parent
        child.wait()
        _spawned.discard(child)


def interrupt_all() -> None:
    """Stop the children of other threads; each `run` there raises ProcessError. Later starts go on."""
    _interrupted.update(_running)
    for child in list(_spawned):
        if child.poll() is None:  # otherwise the ID may belong to another process by now
            _signal_group(child, signal.SIGTERM)


def which(name: str, path: str | None = None) -> str | None:
    """The path of a program: on `path` or PATH, or in the folders that Debian leaves out of a user's PATH."""
    return shutil.which(name, path=_with_sbin(os.environ.get("PATH", os.defpath) if path is None else path))


def _with_sbin(path: str) -> str:
    return ":".join(dict.fromkeys([*path.split(":"), "/usr/sbin", "/sbin"]))


def _wait_for_child(child: subprocess.Popen[bytes], output: "_Output", timeout: float | None) -> str:
    """Wait until a child ends, or return the reason to stop it. Raises the listener's error."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        if _ends_within(child, POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - time.monotonic())):
            return ""
        if output.error:
            raise output.error
        if child in _interrupted:
            return "was interrupted"
        if deadline is not None and time.monotonic() >= deadline:
            return f"did not end within {timeout:g} s"


def _ends_within(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a child ends in time. Popen.wait with a timeout would look every 50 ms; short programs take 5."""
    if child.poll() is None:
        pidfd = os.pidfd_open(child.pid)
        try:
            end = select.poll()
            end.register(pidfd, select.POLLIN)
            end.poll(max(0, seconds * 1000))
        finally:
            os.close(pidfd)
    return child.poll() is not None


class _Output:
    """Collects a child's two streams into the log, the listener and the tail. `error` is the first failure there."""

    def __init__(self, hide: Redactor, log: Path | None, on_output: Callable[[str], None] | None) -> None:
        self.error: Exception | None = None
        self._hide = hide
        self._on_output = on_output
        self._stdout: list[str] = []
        self._tail: deque[str] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()
        self._readers: list[threading.Thread] = []
        self._lines = 0
        self._closed = False
        self._path = log
        self._log: IO[str] | None = None

    def __enter__(self) -> "_Output":
        if self._path:
            with self._explain_log_error():
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._log = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for reader in self._readers:
            lines = -1
            while reader.is_alive() and lines != self._lines:
                lines = self._lines
                reader.join(SILENT_SECONDS)
        with self._lock:
            self._closed = True
            if self._log:
                with suppress(OSError):  # `error` has a failure to write
                    self._log.close()
        if self.error and kind is None:
            raise self.error

    def follow(self, child: subprocess.Popen[bytes]) -> None:
        for stream, is_stdout in ((child.stdout, True), (child.stderr, False)):
            reader = threading.Thread(target=self._read_stream, args=(stream, is_stdout), daemon=True)
            reader.start()
            self._readers.append(reader)

    def _read_stream(self, stream: IO[bytes], is_stdout: bool) -> None:
        for raw in stream:  # to the end, even after an error: a child whose output is not read blocks
            with self._lock:
                self._lines += 1
                if not self._closed:
                    try:
                        self._take_line(self._hide(raw.decode(errors="replace")), is_stdout)
                    except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for the child
                        self.error, self._closed = error, True

    def _take_line(self, line: str, is_stdout: bool) -> None:
        if is_stdout:
            self._stdout.append(line)
        self._tail.append(line)
        if self._log:
            with self._explain_log_error():
                self._log.write(line)
                self._log.flush()
        if self._on_output:
            self._on_output(line.rstrip("\r\n"))

    def stdout(self) -> str:
        return "".join(self._stdout)

    def tail(self) -> str:
        return "".join(self._tail).rstrip()

    @contextmanager
    def _explain_log_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"the log cannot be written: {error.strerror}"
            raise DiskError(message, where=str(self._path), hint=hint_at_refusal(error)) from error


def _start_child(
    command: tuple[str, ...],
    env: Mapping[str, str],
    cwd: Path | None,
    *,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    outlive: bool = False,
) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | LOCALE | dict(env)
    environment["PATH"] = _with_sbin(environment.get("PATH", os.defpath))
    if which(command[0], environment["PATH"]) is None:
        raise ProcessError(f"{command[0]} is not installed", 127, "", hint="run 'bakery doctor' to see what is missing")
    # setpriv ends the child with this process, so that even kill -9 leaves no guest running.
    setpriv = None if outlive else shutil.which("setpriv")
    tie = (setpriv, "--pdeathsig", "TERM", "--") if setpriv else ()
    try:
        return subprocess.Popen(
            (*tie, *command),
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise ProcessError(f"{command[0]} cannot be started: {error}", 126, "") from error


@contextmanager
def _delay_interrupts() -> Iterator[None]:
    """Raise an interrupt at the end of the block: in the middle of Popen it would leave a program that nobody stops.

    Signals interrupt the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: numbers.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if numbers:
        signal.raise_signal(numbers[0])


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return
