"""The output of set-up, and its way to run programs: one line per step, a heartbeat, the rest in a log file."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HEARTBEAT_S = 15  # CI systems and people accept a longer silence than this
GRACE_S = 3.0  # npm takes a quarter of a minute to stop
LOG_TAIL_LINES = 15


class SetupError(Exception):
    """Set-up cannot continue: `str(error)` has the reason, `hint` the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Progress:
    """Prints lines with the seconds since the start; safe to share between threads."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def say(self, topic: str, text: str) -> None:
        with self._lock:
            print(f"[{time.monotonic() - self._start:4.0f} s] {topic}: {text}", flush=True)

    def run(
        self,
        topic: str,
        doing: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Runs a program with its output in the topic's log; raises SetupError with the log's tail."""
        log = self._logs / f"setup-{topic}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            code = self._wait_for_process(topic, doing, self._start_process(argv, output.fileno(), env, cwd))
        if code != 0 and not self._stopping:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
            raise SetupError(f"{topic}: {doing} failed with exit code {code}\n{tail}", f"the full log is {log}")
        self.check_stopped()

    def check_stopped(self) -> None:
        if self._stopping:
            raise SetupError("stopped")

    def stop(self) -> None:
        """Ends running programs, and prevents later steps."""
        with self._lock:
            self._stopping = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _start_process(
        self, argv: Sequence[str | Path], output: int, env: Mapping[str, str] | None, cwd: Path | None
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopping:
                raise SetupError("stopped")
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
            )
            self._running.add(process)
        return process

    def _wait_for_process(self, topic: str, doing: str, process: subprocess.Popen[bytes]) -> int:
        began = time.monotonic()
        try:
            while True:
                try:
                    return process.wait(HEARTBEAT_S)
                except subprocess.TimeoutExpired:
                    self.say(topic, f"still {doing} ({time.monotonic() - began:.0f} s)")
        finally:
            with self._lock:
                self._running.discard(process)
