"""When images and instances were started. A start is reported a day later (API reference, Image, LastLaunchedTime)."""

from datetime import datetime, timedelta

from bakery.demo.stand_ins.aws.world import WORLD

DELAY = timedelta(hours=24)


def record_start(image_id: str, instance_ids: list[str]) -> None:
    """Remember when an image was started, and each of its instances."""
    now = WORLD.now()
    WORLD.launches.setdefault(image_id, []).append(now)
    WORLD.starts.update(dict.fromkeys(instance_ids, now))


def last_launched(image_id: str) -> datetime | None:
    """The last start that is reported by now."""
    times = [at for at in WORLD.launches.get(image_id, ()) if at + DELAY <= WORLD.now()]
    return max(times, default=None)
