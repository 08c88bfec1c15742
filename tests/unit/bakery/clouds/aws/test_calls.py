"""Errors in a user's words, several places at once, and patience."""

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

from bakery.clouds.aws import calls
from bakery.host.errors import BakeryError, PartialError


def _refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "CopyImage")


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (NoCredentialsError(), "set AWS_ACCESS_KEY_ID"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "AWS_ENDPOINT_URL"),
        (_refusal("UnauthorizedOperation"), "lacks a permission"),
        (_refusal("ExpiredToken"), "may have expired"),
        (_refusal("OptInRequired"), "enable the region"),
        (_refusal("RequestLimitExceeded"), "kept throttling"),
        (ResponseParserError("<html>"), ""),
    ],
)
def test_hints(error: Exception, hint: str) -> None:
    with (
        pytest.raises(BakeryError, match="cannot copy ami-1") as caught,
        calls.explain_errors("copy ami-1", "us-east-1"),
    ):
        raise error
    assert caught.value.where == "us-east-1"
    assert caught.value.detail == str(error)
    assert hint in caught.value.hint


def test_our_own_errors_pass() -> None:
    with pytest.raises(BakeryError, match=r"^ours$"), calls.explain_errors("copy", ""):
        raise BakeryError("ours")


def _odd(number: int) -> int:
    if number % 2:
        raise BakeryError(f"{number} is odd", detail="why", hint="add one")
    return number


def test_everywhere_tries_all() -> None:
    assert calls.do_all("count", {"a": 2, "b": 4}, _odd) == {"a": 2, "b": 4}
    with pytest.raises(BakeryError, match=r"cannot count in a, c$") as caught:
        calls.do_all("count", {"a": 1, "b": 2, "c": 3}, _odd)
    assert caught.value.detail == "a: 1 is odd (add one)\n  why\nc: 3 is odd (add one)\n  why"
    with pytest.raises(BakeryError, match=r"^1 is odd$"):
        calls.do_all("count", {"a": 1, "b": 2}, _odd)


def test_everywhere_is_at_once() -> None:
    barrier = threading.Barrier(3, timeout=10)
    calls.do_all("meet", {"a": 1, "b": 2, "c": 3}, lambda _: barrier.wait())


def test_what_was_done_makes_it_partial() -> None:
    with pytest.raises(PartialError, match="cannot copy in eu; done in us"):
        calls.raise_failures("copy", {"eu": BakeryError("down")}, done=["us"])


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The naps that were taken, in a clock that only they move."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(taken))
    return taken


def _states(*states: str | None) -> Callable[[], dict[str, Any] | None]:
    """Looks that see these states, then the last one for ever; None is not there."""
    rest = list(states)

    def look() -> dict[str, Any] | None:
        state = rest.pop(0) if len(rest) > 1 else rest[0]
        return {"State": state} if state else None

    return look


@pytest.mark.parametrize(
    ("states", "end"),
    [
        ((None, "pending", "pending", "completed"), "completed"),
        (("pending", None, None, "error"), "error"),
        (("pending",), "pending"),  # when time is up
    ],
)
def test_watch(naps: list[float], states: tuple[str | None, ...], end: str) -> None:
    assert calls.watch(cast(Any, _states(*states)), {"pending"}, 3600) == {"State": end}


def test_watch_does_not_wait_for_what_is_gone(naps: list[float]) -> None:
    assert calls.watch(cast(Any, _states("pending", "pending", None)), {"pending"}, 3600) is None
    assert sum(naps) < 180
