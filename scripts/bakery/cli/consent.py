"""Asks before something is destroyed."""

import sys

from bakery.host.errors import UsageError


def require_consent(question: str, option: str) -> None:
    """Ask on the terminal; UsageError if the answer is not yes, or if nobody is there to ask. `option` answers, too."""
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError(f"nobody is there to answer: {question}", hint=f"{option} says yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed", hint=f"answer y, or add {option}")
