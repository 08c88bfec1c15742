"""Asks before something is destroyed."""

import sys

from bakery.engine.session import Session
from bakery.host.errors import UsageError


def require_consent(question: str, option: str) -> None:
    """Ask on the terminal; UsageError if the answer is not yes, or if nobody is there to ask. `option` answers, too."""
    if not is_somebody_there():
        raise UsageError(f"nobody is there to answer: {question}", hint=f"{option} says yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed", hint=f"answer y, or add {option}")


def ask_before_leaving(session: Session, images: list[str] | None) -> None:
    """Ask a person before a run takes images back from locations that their definitions do not name any more.

    In a pipeline nobody is there: whoever merged the definition has answered.
    """
    if not is_somebody_there():
        return
    leaving = [
        f"{action.image} in {', '.join(action.leaves)}" for action in session.plan(images).actions if action.leaves
    ]
    if leaving:
        require_consent(f"remove pointers and shares of {'; '.join(leaving)}?", "--yes")


def is_somebody_there() -> bool:
    """Whether standard input is a terminal."""
    return bool(sys.stdin and sys.stdin.isatty())
