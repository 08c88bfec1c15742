"""Faults on demand: errors, dropped connections, lost answers."""

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

KINDS = {
    "error",  # answer with `error` and `status`, do nothing
    "reset",  # drop the connection, do nothing
    "after",  # act, then drop the connection: the response is lost
}


@dataclass
class Rule:
    """Applies to the next `times` calls of an operation."""

    operation: str
    kind: str = "error"
    error: str = "InternalServerError"
    status: int = 500
    times: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}, expected one of {sorted(KINDS)}")


class Faults:
    """The rules in force. Threads share it: a rule with `times: 2` strikes exactly twice."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rules: Iterable[Rule]) -> None:
        with self._lock:
            self._rules.extend(rules)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, operation: str) -> Rule | None:
        """The first rule for an operation, used up by one."""
        with self._lock:
            rule = next((rule for rule in self._rules if rule.times > 0 and rule.operation == operation), None)
            if rule:
                rule.times -= 1
            return rule


def drop(environ: dict[str, Any]) -> NoReturn:
    """Close the connection without an answer; werkzeug takes the error for a client that left."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("dropped by a fault rule")
