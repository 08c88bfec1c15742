import io
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.reports import Verbosity, screen, watch

START = Event("start", "bake", "web", "boot")
HALF = Event("progress", "bake", "web", "boot", fraction=0.5)
NOTE = Event("note", "bake", "web", "[red]not markup[/] :key: 100%")
DONE = Event("done", "bake", "web", "boot", seconds=1.25)
FAILED = Event("failed", "bake", "web", "boot", seconds=1.25)
ALL = (START, HALF, NOTE, DONE, FAILED)


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "run.log"


@pytest.fixture
def show(log: Path) -> Callable[..., str]:
    """What the screen shows of some events."""

    def shown(*events: Event, verbosity: Verbosity = Verbosity.NORMAL, stream: io.StringIO | None = None) -> str:
        stream = stream or io.StringIO()
        with watch(stream, verbosity, log) as report:
            for event in events:
                report(event)
        return stream.getvalue()

    return shown


class TestPipe:
    def test_a_line_per_step(self, show: Callable[..., str]) -> None:
        assert show(*ALL).splitlines() == [
            "... bake web: boot",
            "    bake web: [red]not markup[/] :key: 100%",
            "ok  bake web: boot (1.2 s)",
            "FAILED bake web: boot (1.2 s)",
        ]

    def test_quiet_shows_failures_only(self, show: Callable[..., str]) -> None:
        assert show(*ALL, verbosity=Verbosity.QUIET) == "FAILED bake web: boot (1.2 s)\n"

    def test_verbose_shows_everything(self, show: Callable[..., str]) -> None:
        lines = show(*ALL, verbosity=Verbosity.VERBOSE).splitlines()
        assert (len(lines), lines[1]) == (5, "    bake web: boot 50%")

    def test_long_lines_are_not_broken(self, show: Callable[..., str]) -> None:
        assert len(show(Event("note", "bake", "web", "word " * 100)).splitlines()) == 1

    def test_has_no_control_codes(self, show: Callable[..., str]) -> None:
        assert "\x1b" not in show(*ALL)

    def test_many_threads(self, show: Callable[..., str], log: Path) -> None:
        stream = io.StringIO()
        with watch(stream, Verbosity.NORMAL, log) as report, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: report(Event("note", "bake", f"web-{number}", "x" * 200)), range(200)))
        for lines in (stream.getvalue().splitlines(), log.read_text().splitlines()):
            assert len(lines) == 200
            assert all(line.endswith(": " + "x" * 200) for line in lines)


class Noticing(io.StringIO):
    """A stream whose reader can wait for what another thread writes."""

    def __init__(self) -> None:
        super().__init__()
        self._written = threading.Condition()

    def write(self, text: str) -> int:
        with self._written:
            self._written.notify_all()
            return super().write(text)

    def wait_for(self, pattern: str) -> bool:
        with self._written:
            return self._written.wait_for(lambda: re.search(pattern, self.getvalue(), re.DOTALL) is not None, 20)


class TestHeartbeat:
    @pytest.fixture(autouse=True)
    def fast(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(screen, "HEARTBEAT_SECONDS", 0.01)

    def test_tells_that_a_silent_step_goes_on(self, log: Path) -> None:
        with watch(stream := Noticing(), Verbosity.NORMAL, log) as report:
            report(START)
            assert stream.wait_for(r"\.\.\. bake web: boot, \d+ s so far\n")
            report(Event("start", "bake", "app", "boot"))
            assert stream.wait_for(r"\.\.\. bake app: boot, \d+ s so far\n")

    def test_tells_the_time_left_of_a_step_that_says_its_share(self, log: Path) -> None:
        with watch(stream := Noticing(), Verbosity.NORMAL, log) as report:
            report(START)
            report(replace(START, kind="progress", fraction=0.5))
            assert stream.wait_for(r"\.\.\. bake web: boot, \d+ s so far, about \d+ s left\n")
        assert [screen._estimate_rest(30, share) for share in (0, 0.25, 1)] == [
            "",
            ", about 90 s left",
            ", about 0 s left",
        ]

    def test_ends_with_the_step(self, log: Path) -> None:
        with watch(stream := Noticing(), Verbosity.NORMAL, log) as report:
            report(START)
            assert stream.wait_for("web: boot, ")
            report(DONE)
            report(Event("start", "bake", "app", "boot"))
            assert stream.wait_for("(app: boot, .*){3}")
        # One beat may have been on its way.
        assert "web: boot, " not in stream.getvalue().split("app: boot, ", 1)[1]

    def test_quiet_has_none(self, log: Path) -> None:
        with watch(stream := Noticing(), Verbosity.QUIET, log) as report:
            report(START)
            time.sleep(0.05)
        assert stream.getvalue() == ""

    def test_thread_ends_with_the_screen(self, show: Callable[..., str]) -> None:
        before = threading.active_count()
        show(START)
        assert threading.active_count() == before


class TestTerminal:
    def test_results_go_where_standard_output_goes(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """As with `bakery diff --json > diff.json` in front of a terminal."""
        with watch(stream := Terminal(), Verbosity.NORMAL, log):
            sys.stdout.write("result\n")
        assert capsys.readouterr().out == "result\n"
        assert "result" not in stream.getvalue()

    def test_finished_steps_stay_and_running_ones_move(self, show: Callable[..., str]) -> None:
        text = show(START, HALF, NOTE, DONE, stream=Terminal())
        assert "\x1b[" in text
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        assert "ok     bake web: boot (1.2 s)" in plain
        assert "[red]not markup[/] :key: 100%" in plain

    @pytest.mark.parametrize("fraction", [0.5, 1.0])
    def test_a_part_without_an_end_has_no_time_left(self, log: Path, fraction: float) -> None:
        """Such as a guest that waits for a login after the download of a layer."""
        with watch(stream := Terminal(), Verbosity.NORMAL, log) as report:
            report(START)
            for share in (0.0, fraction / 2, fraction):
                time.sleep(0.02)
                report(replace(HALF, fraction=share))
            report(replace(HALF, text="wait", fraction=None))
            time.sleep(1.2)  # for two numbers of elapsed seconds
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
        times = set(re.findall(r"bake web: wait[\s━]+(\S+) *(\S*)", plain))
        assert {left for _, left in times} == {""}
        assert len(times) > 1, "the elapsed time goes on"

    def test_failure(self, show: Callable[..., str]) -> None:
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", show(START, FAILED, stream=Terminal()))
        assert "failed bake web: boot (1.2 s)" in plain

    def test_events_of_unknown_steps_are_no_error(self, show: Callable[..., str]) -> None:
        show(HALF, DONE, FAILED, stream=Terminal())

    def test_cursor_comes_back(self, show: Callable[..., str]) -> None:
        text = show(START, stream=Terminal())
        assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0

    def test_without_colour(self, show: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", show(*ALL, stream=Terminal()))

    def test_dumb_terminal_gets_lines(self, show: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "dumb")
        assert show(START, DONE, stream=Terminal()) == "... bake web: boot\nok  bake web: boot (1.2 s)\n"

    def test_quiet_terminal_gets_lines(self, show: Callable[..., str]) -> None:
        text = show(*ALL, verbosity=Verbosity.QUIET, stream=Terminal())
        assert text == "FAILED bake web: boot (1.2 s)\n"


class TestLog:
    @pytest.mark.parametrize("verbosity", Verbosity)
    def test_has_everything(self, show: Callable[..., str], log: Path, verbosity: Verbosity) -> None:
        show(*ALL, verbosity=verbosity)
        lines = log.read_text().splitlines()
        assert [line.split()[1] for line in lines] == ["start", "progress", "note", "done", "failed"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d start    bake web: boot", lines[0])

    def test_is_on_disk_at_once(self, log: Path) -> None:
        with watch(io.StringIO(), Verbosity.NORMAL, log) as report:
            report(START)
            assert log.read_text().endswith("bake web: boot\n")

    def test_full_disk(self) -> None:
        with (
            pytest.raises(BakeryError, match="cannot be written: No space left on device") as caught,
            watch(io.StringIO(), Verbosity.NORMAL, Path("/dev/full")) as report,
        ):
            report(START)
        assert caught.value.where == "/dev/full"

    def test_place_that_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with (
            pytest.raises(BakeryError, match="cannot be written"),
            watch(io.StringIO(), Verbosity.NORMAL, tmp_path / "file" / "run.log"),
        ):
            pass

    def test_grows(self, show: Callable[..., str], log: Path) -> None:
        show(START)
        show(DONE)
        assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_errors_pass_and_the_screen_is_closed(log: Path, error: BaseException) -> None:
    for stream in (io.StringIO(), Terminal()):
        with pytest.raises(type(error)), watch(stream, Verbosity.NORMAL, log) as report:
            report(START)
            raise error
        with pytest.raises(ValueError, match="closed file"):
            report(DONE)


def test_a_full_disk_of_the_log_hides_no_error(log: Path) -> None:
    log.parent.mkdir()
    log.symlink_to("/dev/full")
    with pytest.raises(BakeryError, match="it broke"), watch(io.StringIO(), Verbosity.NORMAL, log):
        raise BakeryError("it broke")
