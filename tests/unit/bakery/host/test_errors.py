from pathlib import Path
from typing import Any

import pytest

from bakery.host.errors import (
    BakeryError,
    BusyError,
    ConflictError,
    ExitCode,
    NotFoundError,
    OutageError,
    PartialError,
    UsageError,
    join_errors,
    merge_errors,
    render_error,
    show_error,
    suggest,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (BakeryError, 1),
        (NotFoundError, 1),
        (ConflictError, 1),
        (BusyError, 75),
        (OutageError, 75),
        (PartialError, 4),
        (UsageError, 64),
    ],
)
def test_exit_codes(kind: type[BakeryError], code: int) -> None:
    error = kind("it failed")
    assert error.exit_code == code
    assert isinstance(error, BakeryError)


def test_codes_that_no_error_has() -> None:
    assert (ExitCode.OK, ExitCode.CHANGES, ExitCode.BUG, ExitCode.INTERRUPTED) == (0, 2, 3, 130)


def test_says_what_where_and_what_to_do() -> None:
    error = BakeryError("it failed", where="web.yaml:3", detail="why", hint="do this", log=Path("log"))
    assert str(error) == error.message == "it failed"
    assert (error.where, error.detail, error.hint, error.log) == ("web.yaml:3", "why", "do this", Path("log"))
    assert (BakeryError("x").where, BakeryError("x").log) == ("", None)


FULL: dict[str, Any] = {"where": "web.yaml:3", "detail": "one\ntwo", "hint": "fix it"}


def test_an_error_as_a_program_prints_it() -> None:
    error = BakeryError("it broke", log=Path("logs/plan.log"), **FULL)
    assert show_error(error) == "error: web.yaml:3: it broke\n  one\n  two\nhint: fix it\nlog: logs/plan.log"
    assert show_error(BakeryError("it broke")) == "error: it broke"


def test_an_error_inside_of_another() -> None:
    assert render_error(BakeryError("it broke", **FULL)) == "web.yaml:3: it broke (fix it)\n  one\n  two"
    assert render_error(BakeryError("it broke")) == "it broke"


@pytest.mark.parametrize(
    ("second", "kind"), [(OutageError("down"), OutageError), (NotFoundError("gone"), PartialError)]
)
def test_joined_errors_say_to_try_again_if_all_do(second: BakeryError, kind: type[BakeryError]) -> None:
    error = join_errors([("web", BusyError("busy", hint="wait")), ("app", second)], "2 failed", "go on", PartialError)
    assert type(error) is kind
    assert (error.message, error.hint) == ("2 failed", "go on")
    assert error.detail == f"web: busy (wait)\napp: {second.message}"
    assert isinstance(error.__cause__, ExceptionGroup), "the log gets the causes of all"
    assert error.__cause__.exceptions[1] is second


def test_merged_errors_are_the_first_with_the_others_beside_it() -> None:
    first = NotFoundError("no key", detail="why", hint="add it")
    second, third = BakeryError("no path", where="web.yaml:4", hint="name it"), BakeryError("no name")
    assert merge_errors([first, second, third]) is first
    assert show_error(first).splitlines() == [
        *("error: no key", "  why", "hint: add it"),
        *("error: web.yaml:4: no path", "hint: name it"),
        "error: no name",
    ]
    assert render_error(first) == "no key (add it)\n  why\n  web.yaml:4: no path (name it)\n  no name"
    assert merge_errors([alone := BakeryError("it broke")]) is alone
    assert alone.detail == ""


def test_an_error_that_two_checks_meet_is_shown_once() -> None:
    again = [UsageError("it has no key 'a'", where="web.yaml:1", hint="add it") for _ in range(2)]
    other = UsageError("it has no key 'a'", where="web.yaml:2")
    assert show_error(merge_errors([*again, other])) == (
        "error: web.yaml:1: it has no key 'a'\nhint: add it\nerror: web.yaml:2: it has no key 'a'"
    )


def test_merged_errors_keep_their_causes() -> None:
    errors = [BakeryError("no key"), BakeryError("no path"), BakeryError("no name")]
    errors[0].__cause__, errors[2].__cause__ = ValueError("one"), OSError("two")
    cause = merge_errors(errors).__cause__
    assert isinstance(cause, ExceptionGroup)
    assert [str(error) for error in cause.exceptions] == ["one", "two"]


def test_a_misspelt_word_gets_the_nearest_one() -> None:
    assert suggest("netwrok", ["network", "vault"]) == "did you mean 'network'?"
    assert suggest("xyz", ["network", "vault"]) == ""
