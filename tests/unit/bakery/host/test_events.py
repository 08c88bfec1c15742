import dataclasses

import pytest

from bakery.host.errors import BakeryError
from bakery.host.events import Event, report_step, silent


def test_step_tells_start_and_end() -> None:
    events: list[Event] = []
    with report_step(events.append, "bake", "web", "boot"):
        assert events == [Event("start", "bake", "web", "boot")]
    start, done = events
    assert (done.kind, done.stage, done.subject, done.text) == ("done", start.stage, start.subject, start.text)
    assert done.seconds is not None
    assert done.seconds >= 0


@pytest.mark.parametrize("error", [BakeryError("no"), KeyboardInterrupt()])
def test_step_tells_failure_and_passes_it_on(error: BaseException) -> None:
    events: list[Event] = []
    with pytest.raises(type(error)) as caught, report_step(events.append, "bake", "web", "boot"):
        raise error
    assert caught.value is error
    assert [event.kind for event in events] == ["start", "failed"]
    assert events[-1].seconds is not None


def test_event_is_a_value() -> None:
    event = Event("note", "bake", "web")
    assert event == Event("note", "bake", "web")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.text = "other"  # type: ignore[misc]
    silent(event)
