"""Periods: GitLab's own examples pass, and what its parser would refuse at run time is refused before."""

import pytest

from bakery_stacks.fields import cron


@pytest.mark.parametrize(
    "period",
    [
        "* * * * *",
        "* 8-15 * * mon-fri",
        "0-30 13,16 * * SUN",
        "0-12/2 * 1-31 1-12 0-7",
        "*/15 0 1,15 * 7",
        "1,2,6-9 * * * *",
    ],
)
def test_a_good_period_stays_as_it_is(period: str) -> None:
    assert cron.check_period(period) == period


@pytest.mark.parametrize(
    ("period", "reason"),
    [
        ("* * * *", "has 4 fields, not 5"),
        ("0 * * * * *", "has 6 fields, not 5"),
        ("", "has 0 fields"),
        ("@daily", "has 1 fields"),
        ("60 * * * *", "minute is '60', which is not a span between 0 and 59"),
        ("* 24 * * *", "hour is '24'"),
        ("* * 0 * *", "day of month is '0'"),
        ("* * * 13 *", "month is '13'"),
        ("* * * jan *", "month is 'jan'"),
        ("* * * * 8", "day of week is '8'"),
        ("* * * * workdays", "day of week is 'workdays'"),
        ("* 17-8 * * *", "hour is '17-8'"),
        ("*/0 * * * *", "minute is '*/0'"),
        ("1, * * * *", "minute is ''"),
        ("* -5 * * *", "hour is '-5'"),
        ("* ٣ * * *", "hour is '٣'"),
    ],
)
def test_a_bad_period_is_named(period: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"fields|span") as caught:
        cron.check_period(period)
    assert reason in str(caught.value)
