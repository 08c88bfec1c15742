"""Calls to AWS: retries, time limits, several regions at once, and errors in a user's words."""

import time
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar, cast

from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from bakery.clouds.aws.clients import Image, Snapshot
from bakery.host.errors import BakeryError, PartialError, join_errors
from bakery.host.parallel import run_parallel
from bakery.host.waiting import wait_until

BLOCK_WORKERS = 16  # parallel block uploads: enough for a 100 Mbit/s to 1 Gbit/s line at 50 ms a block
PARALLEL_CALLS = 400  # regions and accounts asked at once: the limits of AWS count for each region and account
# Standard mode: full jitter up to 20 s, throttling codes of EC2 included. Ten attempts cover about a minute.
CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 10},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=BLOCK_WORKERS,
)
# A new resource can be "not found" for a while: coldsnap saw 56 s with snapshots, and its limit of 132 s was enough.
VISIBLE_SECONDS = 132.0

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
NOT_LOGGED_IN = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
NOT_ENABLED = {"OptInRequired"}
THROTTLED = {"RequestLimitExceeded", "Throttling", "ThrottlingException", "EC2ThrottledException", "SlowDown"}

Resource = TypeVar("Resource", Image, Snapshot)  # AWS's description of it

Item = TypeVar("Item")
Result = TypeVar("Result")


def error_code(error: Exception) -> str:
    """The code of an AWS error answer; empty for errors that never reached AWS."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def is_denied(error: BakeryError) -> bool:
    """Whether an error of `explain_errors` is about a missing right."""
    return isinstance(error.__cause__, ClientError) and error_code(error.__cause__) in DENIED


@contextmanager
def explain_errors(doing: str, where: str) -> Iterator[None]:
    """Raise botocore's errors as BakeryError. `doing` completes "cannot …"; `where` is the region or account/region."""
    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:  # the last: not from AWS
        raise BakeryError(f"cannot {doing}", where=where, detail=str(error), hint=_error_hint(error)) from error


def _error_hint(error: Exception) -> str:
    code = error_code(error)
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a web identity"
    if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
        return "check the network, the proxy variables and AWS_ENDPOINT_URL, then run again"
    if code in DENIED:
        return "the role lacks a permission: compare it with the publisher role of the distribution stack"
    if code in NOT_LOGGED_IN:
        return (
            "check the credentials, which may have expired, and the clock of this machine; or the region is not "
            "enabled for the account"
        )
    if code in NOT_ENABLED:
        return "enable the region for the account, or take it out of distribution.aws.regions"
    if code in THROTTLED:
        return "AWS kept throttling for about a minute: run again later; finished work is kept"
    return ""


def try_all(
    items: Mapping[str, Item], work: Callable[[Item], Result]
) -> tuple[dict[str, Result], dict[str, BakeryError]]:
    """Do `work` for all items at once; results and failures by key. Ctrl-C waits for `work`, which must be short."""
    outcomes = run_parallel(list(items), lambda key: work(items[key]), PARALLEL_CALLS)
    results = {outcome.name: cast(Result, outcome.result) for outcome in outcomes if outcome.error is None}
    failures = {outcome.name: outcome.error for outcome in outcomes if outcome.error is not None}
    return results, failures


def do_all(doing: str, items: Mapping[str, Item], work: Callable[[Item], Result]) -> dict[str, Result]:
    """Do `work` for all items at once; one error at the end for all that failed."""
    results, failures = try_all(items, work)
    raise_failures(doing, failures)
    return results


def raise_failures(doing: str, failures: Mapping[str, BakeryError], done: Collection[str] = ()) -> None:
    """One error for all failures: PartialError if something was `done` that stays, the error itself if it is alone."""
    if not failures:
        return
    first = next(iter(failures.values()))
    if len(failures) == 1 and not done:
        raise first
    raise join_errors(
        failures.items(),
        f"cannot {doing} in {', '.join(failures)}" + (f"; done in {', '.join(done)}" if done else ""),
        first.hint or "run again: finished work is kept, and only the rest is done",
        PartialError if done else BakeryError,
    )


def watch(look: Callable[[], Resource | None], moving: Container[str], limit: float) -> Resource | None:
    """Describe a resource until its State is none of `moving`. Return the last description; None if it is gone."""
    latest: Resource | None = None
    last_seen = time.monotonic()

    def is_settled() -> bool | None:
        nonlocal latest, last_seen
        latest = look()
        if latest is None:
            return True if time.monotonic() - last_seen > VISIBLE_SECONDS else None
        last_seen = time.monotonic()
        return None if latest["State"] in moving else True

    wait_until(is_settled, limit)
    return latest
