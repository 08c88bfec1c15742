"""The only exception family: stages raise it, `bakery.cli.main` prints it."""

import difflib
from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the command; any other code means failure."""

    OK = 0
    FAILED = 1
    CHANGES = 2  # only with --detailed-exitcode, as `terraform plan` does
    BUG = 3
    PARTIAL = 4
    USAGE = 64  # EX_USAGE of sysexits.h, since 2 is taken by "changes pending"
    TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h; the retry rule of the GitLab jobs names it
    INTERRUPTED = 130


class BakeryError(Exception):
    """An expected failure: a message, its location (`file:line`), a detail and a hint.

    `others` are failures that were found beside it.
    """

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
        self.others: tuple[BakeryError, ...] = ()


class UsageError(BakeryError):
    """The command line, a definition or an environment file is wrong: nothing was started."""

    exit_code = ExitCode.USAGE


class PartialError(BakeryError):
    """Some images, targets or stacks failed; what succeeded is recorded."""

    exit_code = ExitCode.PARTIAL


PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP answers that may change when asked again


class OutageError(BakeryError):
    """A service does not work: other requests to it would fail as well, but a later run may succeed."""

    exit_code: ClassVar[ExitCode] = ExitCode.TRY_AGAIN


class DiskError(BakeryError):
    """A disk of this machine is full, or refuses a file: that says nothing about an image."""


class NotFoundError(BakeryError):
    """A named object (catalog key, version, channel, secret) does not exist."""


class UnknownNameError(UsageError, NotFoundError):
    """The command line names an image, a version or a channel that does not exist."""


class ConflictError(BakeryError):
    """Another run holds or changed the same thing."""


class BusyError(ConflictError):
    """Another run holds the lock. That run will end, so the same command may succeed later."""

    exit_code: ClassVar[ExitCode] = ExitCode.TRY_AGAIN


def join_errors(
    failures: Collection[tuple[str, BakeryError]], message: str, hint: str = "", kind: type[BakeryError] = BakeryError
) -> BakeryError:
    """One error for several, each under its name. It asks to try again if all of them do, even if some work is done."""
    again = all(error.exit_code == ExitCode.TRY_AGAIN for _, error in failures)
    detail = "\n".join(f"{name}: {render_error(error)}" for name, error in failures)
    joined = (OutageError if again else kind)(message, detail=detail, hint=hint)
    joined.__cause__ = ExceptionGroup(message, [error for _, error in failures])
    return joined


def merge_errors(errors: Sequence[BakeryError]) -> BakeryError:
    """The first error, with the others beside it."""
    first, *rest = errors
    first.others += tuple(one for error in rest for one in (error, *error.others))
    if causes := [error.__cause__ for error in errors if error.__cause__]:
        first.__cause__ = BaseExceptionGroup("the causes of each error", causes)
    return first


def raise_all(errors: Sequence[BakeryError]) -> None:
    """Raise the first error, if there is one, with the others beside it."""
    if errors:
        raise merge_errors(errors)


def describe_error(error: BakeryError) -> str:
    """The message and the detail of an error, for a line of another text."""
    return ": ".join(filter(None, (error.message, error.detail)))


def show_error(error: BakeryError) -> str:
    """The text that a program prints for an error and those beside it; once for what two checks met alike."""
    return "\n".join(dict.fromkeys(_show_one(one) for one in (error, *error.others)))


def _show_one(error: BakeryError) -> str:
    where = f"{error.where}: " if error.where else ""
    lines = [f"error: {where}{error.message}", *(f"  {line}" for line in error.detail.splitlines())]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    if error.log:
        lines.append(f"log: {error.log}")
    return "\n".join(lines)


def render_error(error: BakeryError) -> str:
    """The text of an error inside of another one: one line, and the rest below it."""
    where = f"{error.where}: " if error.where else ""
    hint = f" ({error.hint})" if error.hint else ""
    below = "".join(f"\n  {line}" for line in render_rest(error).splitlines())
    return f"{where}{error.message}{hint}{below}"


def render_rest(error: BakeryError) -> str:
    """The detail of an error and the errors beside it, for a place that has room for one error."""
    return "\n".join(filter(None, [error.detail, *map(render_error, error.others)]))


def suggest(word: str, words: Iterable[str]) -> str:
    """A hint for a misspelt word; empty if no known word is similar."""
    matches = difflib.get_close_matches(word, list(words), n=1)
    return f"did you mean '{matches[0]}'?" if matches else ""
