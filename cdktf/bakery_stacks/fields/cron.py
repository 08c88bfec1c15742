"""Periods of a day as GitLab's runner understands them: five fields, each a span of time and not a moment."""

import re

from bakery.model.validation import field_error

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Name, least and greatest value (GitLab Runner, "Periods syntax"); Sunday is 0 and 7.
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
EXAMPLE = "* 8-17 * * mon-fri"
PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9][0-9]*))?")


def check_period(period: str) -> str:
    """Return the period, or raise ValueError for its first wrong field."""
    fields = period.split()
    if len(fields) != len(FIELDS):
        reason = f"'{period}' has {len(fields)} fields, not 5: minute, hour, day, month, day of week"
        raise field_error(reason, f'write "{EXAMPLE}" for ten hours of each working day')
    for text, (name, least, greatest) in zip(fields, FIELDS, strict=True):
        for part in text.split(","):
            if not _is_span(part, name, least, greatest):
                reason = f"'{period}': {name} is '{part}', which is not a span between {least} and {greatest}"
                raise field_error(reason, f'write * or a span such as the hours 8-17 in "{EXAMPLE}"')
    return period


def _is_span(part: str, name: str, least: int, greatest: int) -> bool:
    match = PART.fullmatch(part)
    if match is None:
        return False
    ends = [_parse_number(end, name) for end in match.group(1, 2) if end]
    return ends == sorted(ends) and all(least <= end <= greatest for end in ends)


def _parse_number(text: str, name: str) -> int:
    """The number, or -1, which no field allows."""
    if name == "day of week" and text.lower() in WEEKDAYS:
        return WEEKDAYS.index(text.lower())
    return int(text) if text.isascii() and text.isdecimal() else -1
