"""How long a machine may take to answer: a builder's default, or what the user says."""

import pytest

from bakery.host.errors import UsageError
from bakery.machine.guest import Patience
from bakery.machine.timeout import VARIABLE, ssh_timeout, to_seconds


def test_a_builder_has_a_default() -> None:
    assert ssh_timeout("10m") == "10m"


@pytest.mark.parametrize("value", ["20m", "90s", "1h30m", "0h5m"])
def test_the_user_decides(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert ssh_timeout("10m") == value


def test_a_disk_under_test_has_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Patience.from_environment() == Patience()
    monkeypatch.setenv(VARIABLE, "1h")
    assert Patience.from_environment() == Patience(silence=720, total=3600)


@pytest.mark.parametrize(("duration", "seconds"), [("90s", 90), ("1h30m", 5400), ("2m5s", 125), ("soon", 0)])
def test_durations(duration: str, seconds: int) -> None:
    assert to_seconds(duration) == seconds


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert ssh_timeout("10m") == "10m"


@pytest.mark.parametrize("value", ["20", "0s", "0", "m", "20 m", "-5m", "30m1h", "long"])
def test_what_packer_would_refuse_or_never_wait_for_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(UsageError, match=f"{VARIABLE} is '{value}'") as caught:
        ssh_timeout("10m")
    assert caught.value.hint == "write 20m, 90s or 1h30m"
