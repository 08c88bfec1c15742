"""Durations in words."""

import pytest

from bakery.host.text import describe_duration, estimate_duration


@pytest.mark.parametrize(
    ("seconds", "exact", "about"),
    [
        (0.4, "0 s", "0 s"),
        (98.4, "98 s", "98 s"),
        (119.6, "2 min", "2 min"),
        (120, "2 min", "2 min"),
        (372, "6 min 12 s", "6 min"),
        (7199.7, "2 h", "2 h"),
        (7520, "2 h 5 min", "2 h 5 min"),
    ],
)
def test_durations(seconds: float, exact: str, about: str) -> None:
    assert describe_duration(seconds) == exact
    assert estimate_duration(seconds) == about
