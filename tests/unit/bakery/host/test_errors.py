from pathlib import Path

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
