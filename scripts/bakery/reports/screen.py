"""Progress on standard error. Standard output is for results only."""

import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import Event, Reporter
from bakery.host.redaction import Redactor
from bakery.host.text import estimate_duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

HEARTBEAT_SECONDS = 60.0  # GitLab and most CI systems treat a job as stuck after some minutes of silence


class Verbosity(IntEnum):
    """QUIET shows failures only, NORMAL one line per step, VERBOSE everything that stages report."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


@contextmanager
def watch(stream: TextIO, verbosity: Verbosity, log: Path, secrets: Iterable[str] = ()) -> Iterator[Reporter]:
    """A `Reporter` that writes to the screen and to the log file, safe to call from any thread.

    The log also gets the traceback of an expected error, with its causes and without `secrets`.
    """
    from rich.console import Console  # 50 ms, which verbs with an immediate answer do not need

    # Without emoji, rich would show the text ":key:" as a picture.
    console = Console(file=stream, highlight=False, soft_wrap=True, emoji=False)
    with ExitStack() as stack:
        with files.explain_errors(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            record = stack.enter_context(log.open("ab", buffering=0))
        live = console.is_terminal and not console.is_dumb_terminal and verbosity > Verbosity.QUIET
        view: _Live | _Plain = _Live(console, verbosity) if live else _Plain(console, verbosity)
        stack.enter_context(view)
        lock = threading.Lock()

        def report(event: Event) -> None:
            with lock:
                with files.explain_errors(log):
                    record.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {event.kind:8} {_event_line(event)}\n".encode())
                view.show(event)

        try:
            yield report
        except BakeryError as error:
            with lock, suppress(OSError):  # a full disk is often the error itself
                record.write(Redactor(secrets)("".join(traceback.format_exception(error))).encode())
            raise


def _event_line(event: Event) -> str:
    share = f" {event.fraction:.0%}" if event.fraction is not None else ""
    seconds = f" ({event.seconds:.1f} s)" if event.seconds is not None else ""
    return f"{event.stage} {event.subject}: {event.text}{share}{seconds}"


def _is_shown(event: Event, verbosity: Verbosity) -> bool:
    if verbosity == Verbosity.VERBOSE or event.kind == "failed":
        return True
    return verbosity == Verbosity.NORMAL and event.kind in ("start", "done", "note")


def _estimate_rest(seconds: float, fraction: float) -> str:
    """The time left if a step goes on as before; empty before a hundredth is done."""
    return f", about {estimate_duration(seconds / fraction - seconds)} left" if fraction >= 0.01 else ""


class _Plain:
    """One line per step, and a heartbeat while a step is silent."""

    def __init__(self, console: "Console", verbosity: Verbosity) -> None:
        self._console = console
        self._verbosity = verbosity
        self._running: dict[tuple[str, str, str], float] = {}
        self._fractions: dict[tuple[str, str, str], float] = {}
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._show_heartbeat, daemon=True)

    def __enter__(self) -> "_Plain":
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._beat.join()

    def show(self, event: Event) -> None:
        step = (event.stage, event.subject, event.text)
        if event.kind == "start":
            self._running[step] = time.monotonic()
        elif event.kind in ("done", "failed"):
            self._running.pop(step, None)
            self._fractions.pop(step, None)
        elif event.fraction is not None:
            self._fractions[step] = event.fraction
        if _is_shown(event, self._verbosity):
            mark = {"start": "...", "progress": "   ", "note": "   ", "done": "ok ", "failed": "FAILED"}[event.kind]
            self._console.print(f"{mark} {_event_line(event)}", markup=False)

    def _show_heartbeat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            if self._verbosity > Verbosity.QUIET:
                for (stage, subject, text), began in list(self._running.items()):
                    waited = time.monotonic() - began
                    left = _estimate_rest(waited, self._fractions.get((stage, subject, text), 0))
                    self._console.print(f"... {stage} {subject}: {text}, {waited:.0f} s so far{left}", markup=False)


class _Live:
    """A spinner per running step; finished steps scroll away above."""

    def __init__(self, console: "Console", verbosity: Verbosity) -> None:
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._escape = escape
        self._verbosity = verbosity
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # otherwise results would go to the screen instead of their file
        )
        self._tasks: dict[tuple[str, str], list[TaskID]] = {}

    def __enter__(self) -> "_Live":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        tasks = self._tasks.setdefault((event.stage, event.subject), [])
        label = self._escape(f"{event.stage} {event.subject}: {event.text}")
        if event.kind == "start":
            tasks.append(self._progress.add_task(label, total=None))
        elif event.kind == "progress" and tasks:
            total = None if event.fraction is None else 1.0
            if total is None:  # `update` keeps the end of an earlier part of the step, such as a download
                task = next(task for task in self._progress.tasks if task.id == tasks[-1])
                task.total = task.finished_time = None
            self._progress.update(tasks[-1], description=label, total=total, completed=event.fraction or 0)
        elif event.kind in ("done", "failed") and tasks:
            self._progress.remove_task(tasks.pop())
        if _is_shown(event, self._verbosity) and event.kind not in ("start", "progress"):
            colour = {"done": "[green]ok[/]    ", "failed": "[red]failed[/]", "note": "      "}[event.kind]
            self._progress.console.print(f"{colour} {self._escape(_event_line(event))}")
