"""Limits the rate of calls, for each account, region and service together.

botocore's retries alone do not survive an empty bucket of EC2. Mode "standard" gives up 131 of 300 calls from 128
threads after 4 s, since a client has tokens for about 100 retries. Mode "adaptive" starts again from a call in two
seconds, and did not end in 3 min, where the bucket allows all calls in 10 s.
"""

import threading
import time
from typing import Any

from bakery.clouds.aws.calls import THROTTLED
from bakery.host.waiting import pause_for

# EC2 developer guide, "Request throttling": 100 tokens for each describing action, of which 20 come back each second.
# Those of other actions are smaller, but a release calls each of them once or twice in a region.
BUCKET, PER_SECOND = 100.0, 20.0
SLOWEST = 1.0  # calls a second, however busy others keep the account
LIMITED = ("ec2", "ssm")  # blocks of snapshots have a limit of their own: the workers that send them


class RateLimiter:
    """A bucket of tokens from which all threads take. An answer of throttling empties it and slows it down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = BUCKET
        self._per_second = PER_SECOND
        self._since = time.monotonic()
        self._slowed = self._since - 1

    def take_token(self, **_: object) -> None:
        """Wait for a token, behind those who asked before."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(BUCKET, self._tokens + (now - self._since) * self._per_second) - 1
            self._since = now
            seconds = -self._tokens / self._per_second
        if seconds > 0:
            pause_for(seconds)

    def learn(self, response: Any, **_: object) -> None:
        """Halve the rate when AWS throttles, at most once a second; raise it slowly when it does not."""
        code = response[1].get("Error", {}).get("Code") if response else None
        with self._lock:
            now = time.monotonic()
            if code not in THROTTLED:
                self._per_second = min(PER_SECOND, self._per_second + 0.1)
            elif now - self._slowed >= 1:
                self._slowed = now
                self._per_second = max(SLOWEST, self._per_second / 2)
                self._tokens = min(0.0, self._tokens)


_limiters: dict[tuple[str, str, str], RateLimiter] = {}  # by account, region and service
_lock = threading.Lock()


def limit_rate(client: Any, account: str) -> None:
    """Have a client share the limiter of its account, region and service with all others of this process."""
    service = client.meta.service_model.service_name
    if service not in LIMITED:
        return
    with _lock:
        limiter = _limiters.setdefault((account, client.meta.region_name, service), RateLimiter())
    client.meta.events.register("before-send", limiter.take_token)
    client.meta.events.register("needs-retry", limiter.learn)
