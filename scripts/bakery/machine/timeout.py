"""The maximum time until a machine answers on SSH."""

import os
import re

from bakery.host.errors import UsageError

VARIABLE = "BAKERY_SSH_TIMEOUT"
# The useful part of Go's notation for durations, which Packer reads.
_DURATION = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def ssh_timeout(default: str) -> str:
    """The user's BAKERY_SSH_TIMEOUT, or a default; UsageError if it is not a duration."""
    value = os.environ.get(VARIABLE) or default
    if not to_seconds(value):
        raise UsageError(f"{VARIABLE} is '{value}', not a duration", hint="write 20m, 90s or 1h30m")
    return value


def to_seconds(duration: str) -> int:
    """The seconds of a duration; zero if the text is none."""
    match = _DURATION.fullmatch(duration)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    return hours * 3600 + minutes * 60 + seconds
