"""Faults on demand: errors, dropped connections, lost and late answers."""

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from bakery.demo.stand_ins.aws.calls import Call, Environ

KINDS = {
    "error",  # answer with `error` and `status`, do nothing
    "reset",  # drop the connection, do nothing
    "after",  # act, then drop the connection: the response is lost
    "slow",  # wait `seconds`, then act
}


@dataclass
class Rule:
    """Applies to the next `times` matching calls; an absent region or account matches any."""

    service: str
    action: str
    region: str | None = None
    account: str | None = None
    kind: str = "error"
    error: str = "InternalError"
    status: int = 500
    seconds: float = 0.0
    times: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}, expected one of {sorted(KINDS)}")

    def matches(self, call: Call) -> bool:
        return (
            self.times > 0
            and (self.service, self.action) == (call.service, call.action)
            and self.region in (None, call.region)
            and self.account in (None, call.account)
        )


class Faults:
    """The active rules, shared by threads: a rule with `times: 2` applies exactly twice."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rules: Iterable[Rule]) -> None:
        with self._lock:
            self._rules.extend(rules)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, call: Call) -> Rule | None:
        """The first rule that matches; this counts as one use."""
        with self._lock:
            rule = next((rule for rule in self._rules if rule.matches(call)), None)
            if rule:
                rule.times -= 1
            return rule


def drop(environ: Environ) -> NoReturn:
    """Close the connection without an answer; werkzeug treats the error as a client's disconnect."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("dropped by a fault rule")
