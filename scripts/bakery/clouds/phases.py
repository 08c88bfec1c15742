"""The phases of a publisher: progress, and how long each phase took."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bakery.host.events import Event, Reporter, report_step
from bakery.host.timing import timed

ReportProgress = Callable[[float], None]  # receives the finished fraction of a phase, 0..1


class Phases:
    """Reports each phase and keeps its seconds by its name."""

    def __init__(self, report: Reporter, subject: str) -> None:
        self._report = report
        self._subject = subject
        self.seconds: dict[str, float] = {}

    def note(self, text: str) -> None:
        """Report a line within a phase."""
        self._report(Event("note", "publish", self._subject, text))

    @contextmanager
    def phase(self, name: str, text: str) -> Iterator[ReportProgress]:
        """Return a function that receives the finished fraction, 0..1, and reports each whole per cent once."""
        last_percent = -1

        def report_progress(fraction: float) -> None:
            nonlocal last_percent
            if int(fraction * 100) != last_percent:
                last_percent = int(fraction * 100)
                self._report(Event("progress", "publish", self._subject, text, fraction=fraction))

        with timed(self.seconds, name), report_step(self._report, "publish", self._subject, text):
            yield report_progress
