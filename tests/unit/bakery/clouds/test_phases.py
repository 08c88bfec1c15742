"""Patience: the pauses between looks, and what a phase tells."""

import time

import pytest

from bakery.clouds import phases
from bakery.host.events import Event


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The naps that were taken, in a clock that only they move."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(taken))
    return taken


def test_poll_waits_longer_and_longer(naps: list[float]) -> None:
    answers = iter([None, None, None, "there"])
    assert phases.poll(lambda: next(answers), 60) == "there"
    assert naps == [1.0, 1.5, 2.25]


def test_poll_gives_up(naps: list[float]) -> None:
    assert phases.poll(lambda: None, 60) is None
    assert sum(naps) == 60
    assert max(naps) <= phases.LONGEST_PAUSE


def test_a_phase_tells_whole_per_cents_only() -> None:
    events: list[Event] = []
    watched = phases.Phases(events.append, "web-1.0.0-x86_64")
    with watched.phase("upload", "upload the disk") as share:
        for done in (0.101, 0.102, 0.11):
            share(done)
    assert [(event.kind, event.fraction) for event in events] == [
        ("start", None),
        ("progress", 0.101),
        ("progress", 0.11),
        ("done", None),
    ]
    assert list(watched.seconds) == ["upload"]
