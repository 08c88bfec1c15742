"""The one exception family: stages raise it, `bakery.cli.main` prints it."""

from enum import IntEnum
from pathlib import Path
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command's exit code says; an unknown code means failure."""

    OK = 0
    FAILED = 1
    CHANGES = 2  # only with --detailed-exitcode, as `terraform plan` does
    BUG = 3
    PARTIAL = 4
    USAGE = 64  # EX_USAGE of sysexits.h, since 2 is taken by "changes pending"
    TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h; the retry rule of the GitLab jobs names it
    INTERRUPTED = 130


class BakeryError(Exception):
    """An expected failure: what failed, where (`file:line`), and what to do about it."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(
        self, message: str, *, where: str = "", detail: str = "", hint: str = "", log: Path | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.detail = detail
        self.hint = hint
        self.log = log


class UsageError(BakeryError):
    """The command line, a definition or an environment file is wrong: nothing was started."""

    exit_code = ExitCode.USAGE


class PartialError(BakeryError):
    """Some images, targets or stacks failed; what succeeded is recorded."""

    exit_code = ExitCode.PARTIAL


class OutageError(BakeryError):
    """A service does not serve at all, so that asking it for the next thing is of no use; later it may."""

    exit_code: ClassVar[ExitCode] = ExitCode.TRY_AGAIN


class NotFoundError(BakeryError):
    """A named thing (catalog key, version, channel, secret) is not there."""


class ConflictError(BakeryError):
    """Somebody else holds it or wrote it first."""


class BusyError(ConflictError):
    """Another run holds the lock; it will end by itself, so the same command may succeed later."""

    exit_code: ClassVar[ExitCode] = ExitCode.TRY_AGAIN
