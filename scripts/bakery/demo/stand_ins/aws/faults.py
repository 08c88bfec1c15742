"""Faults on demand: errors, dropped connections, lost and late answers, and limits to the rate of calls."""

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NoReturn

from bakery.demo.stand_ins.aws.calls import Call, Environ
from bakery.demo.stand_ins.aws.world import WORLD

KINDS = {
    "error",  # answer with `error` and `status`, do nothing
    "reset",  # drop the connection, do nothing
    "after",  # act, then drop the connection: the response is lost
    "slow",  # wait `seconds`, then act
    "bucket",  # answer with the service's error of throttling once a bucket has no token left
}
# Code and status where a call is throttled: EC2 developer guide, "Request throttling"; API model of EBS direct,
# RequestThrottledException; S3 API reference, "Error responses"; common errors of the query services and of the others.
THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503),
    "ebs": ("RequestThrottledException", 400),
    "s3": ("SlowDown", 503),
    "sts": ("Throttling", 400),
    "iam": ("Throttling", 400),
    "autoscaling": ("Throttling", 400),
}
OTHERS_THROTTLED = ("ThrottlingException", 400)


@dataclass
class Rule:
    """Applies to the next `times` matching calls; an absent region or account matches any.

    A bucket applies to every matching call, and `*` in its action stands for any text.
    """

    service: str
    action: str
    region: str | None = None
    account: str | None = None
    kind: str = "error"
    error: str = "InternalError"
    status: int = 500
    seconds: float = 0.0
    times: int = 1
    tokens: float = 0.0  # of a full bucket
    per_second: float = 0.0  # tokens that come back
    buckets: dict[tuple[str, str, str], "Bucket"] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}, expected one of {sorted(KINDS)}")

    def matches(self, call: Call) -> bool:
        return (
            self.times > 0
            and self.service == call.service
            and (fnmatchcase(call.action, self.action) if self.kind == "bucket" else self.action == call.action)
            and self.region in (None, call.region)
            and self.account in (None, call.account)
        )

    def has_room(self, call: Call) -> bool:
        """Whether a call gets its token: there is a bucket for each action, account and region, full at first."""
        key = call.account, call.region, call.action
        return self.buckets.setdefault(key, Bucket(self.tokens, WORLD.now())).take(self.tokens, self.per_second)

    @property
    def refusal(self) -> tuple[str, int]:
        """Code and status of the error."""
        if self.kind == "bucket":
            return THROTTLED.get(self.service, OTHERS_THROTTLED)
        return self.error, self.status


@dataclass
class Bucket:
    """A token bucket as EC2 describes it in its developer guide, "Request throttling for the Amazon EC2 API"."""

    level: float
    since: datetime  # of the cloud's clock

    def take(self, size: float, per_second: float) -> bool:
        now = WORLD.now()
        self.level = min(size, self.level + (now - self.since).total_seconds() * per_second)
        self.since = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


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
        """The first rule that matches; this counts as one use, or takes a token of each bucket before it."""
        with self._lock:
            for rule in self._rules:
                if not rule.matches(call) or (rule.kind == "bucket" and rule.has_room(call)):
                    continue
                if rule.kind != "bucket":
                    rule.times -= 1
                return rule
            return None


def drop(environ: Environ) -> NoReturn:
    """Close the connection without an answer; werkzeug treats the error as a client's disconnect."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("dropped by a fault rule")
