"""The time that a run still needs."""

from collections.abc import Sequence

import pytest

from bakery.engine.durations import describe_rest, expect_seconds


@pytest.mark.parametrize(
    ("rests", "jobs", "text"),
    [
        ([], 1, ""),
        ([None, None], 1, ""),
        ([60.0, 30.0], 1, "about 90 s left"),
        ([60.0, None], 1, "at least 60 s left"),
        ([60.0, 30.0, 30.0], 2, "about 60 s left"),
        ([60.0, 10.0], 2, "about 60 s left"),
        ([0.2, 0.3], 1, ""),
    ],
)
def test_time_left(rests: Sequence[float | None], jobs: int, text: str) -> None:
    assert describe_rest(rests, jobs) == text


def test_an_image_takes_as_long_as_last_time() -> None:
    last = {"bake": 90.0, "verify": 30.0, "publish aws": 12.0, "publish local": 1.0}
    assert expect_seconds(last, bakes=True) == 133
    assert expect_seconds(last, bakes=False) == 13
    assert expect_seconds({"publish aws": 12.0}, bakes=True) is None, "the bake was elsewhere"
    assert expect_seconds({}, bakes=False) is None
