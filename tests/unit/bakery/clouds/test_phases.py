from bakery.clouds import phases
from bakery.host.events import Event


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
