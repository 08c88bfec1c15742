import threading
import time
from contextlib import suppress

import pytest

from bakery.host import parallel
from bakery.host.waiting import LONGEST_PAUSE, wait_until


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The naps that were taken, in a clock that only they move."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(taken))
    return taken


def test_pauses_grow(naps: list[float]) -> None:
    answers = iter([None, None, None, "there"])
    assert wait_until(lambda: next(answers), 60) == "there"
    assert naps == [1.0, 1.5, 2.25]


def test_it_gives_up(naps: list[float]) -> None:
    assert wait_until(lambda: None, 60) is None
    assert sum(naps) == 60
    assert max(naps) <= LONGEST_PAUSE


def test_a_fixed_pause_stays(naps: list[float]) -> None:
    assert wait_until(lambda: None, 1, 0.25) is None
    assert naps == [0.25] * 4


def test_without_time_there_is_one_probe(naps: list[float]) -> None:
    answers = iter(["there"])
    assert wait_until(lambda: next(answers), 0) == "there"
    assert wait_until(lambda: None, 0) is None
    assert naps == []


def test_an_interrupt_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        wait_until(lambda: None, 60)


def test_an_interrupt_ends_the_waits_of_all_threads() -> None:
    """Also where threads start threads, as the regions of an image that is one of several."""
    waits = threading.Barrier(3)
    ended: list[str] = []

    def wait_there(name: str) -> None:
        waits.wait(10)
        try:
            wait_until(lambda: None, 60)
        finally:
            ended.append(name)

    def interrupt() -> None:
        with parallel.threads(1) as submit:
            submit(lambda: parallel.run_parallel(["one", "two"], wait_there, 2))
            waits.wait(10)
            raise KeyboardInterrupt

    began = time.monotonic()
    with suppress(KeyboardInterrupt):
        interrupt()
    assert sorted(ended) == ["one", "two"]
    assert time.monotonic() - began < 30
    assert not parallel.is_interrupted()
