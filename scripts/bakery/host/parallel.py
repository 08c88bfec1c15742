"""Work on several things at once, images for one, and report all failures at the end."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from bakery.host import process
from bakery.host.errors import BakeryError, PartialError, join_errors
from bakery.host.files import explain_refusals

INTERRUPT_SECONDS = 0.2  # between two rounds of stopping children

Result = TypeVar("Result", covariant=True)

_interrupted = threading.Event()  # while the children of all threads are stopped


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """The outcome of the work for one name: a result or an error."""

    name: str
    result: Result | None
    error: BakeryError | None


def run_parallel(names: Sequence[str], work: Callable[[str], Result], jobs: int) -> list[Outcome[Result]]:
    """Do `work` for each name, `jobs` at a time. Expected failures become outcomes; an interrupt stops all children."""
    if jobs == 1:
        return [attempt(name, partial(work, name)) for name in names]
    with threads(jobs) as submit:
        running = [submit(partial(attempt, name, partial(work, name))) for name in names]
        return [future.result() for future in running]


def attempt(name: str, work: Callable[[], Result]) -> Outcome[Result]:
    """Do the work of a name; an expected failure becomes an outcome."""
    try:
        with explain_refusals():
            return Outcome(name, work(), None)
    except BakeryError as error:
        return Outcome(name, None, error)


def count_jobs(cores: int, memory: int) -> int:
    """The number of jobs at once, at least one, if each takes so many cores and so many bytes of free memory."""
    lines = Path("/proc/meminfo").read_text().splitlines()  # in KiB; proc_meminfo(5)
    free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    return max(1, min(len(os.sched_getaffinity(0)) // cores, free // memory))


Submit = Callable[[Callable[[], Any]], Future[Any]]


@contextmanager
def threads(jobs: int) -> Iterator[Submit]:
    """Start calls in `jobs` threads. Running calls end after a failure; an interrupt stops all children."""
    pool = ThreadPoolExecutor(jobs)
    running: set[Future[Any]] = set()

    def submit(work: Callable[[], Any]) -> Future[Any]:
        future = pool.submit(work)
        running.add(future)
        future.add_done_callback(running.discard)
        return future

    try:
        yield submit
    except (Exception, GeneratorExit):
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        is_outermost = not _interrupted.is_set()
        _interrupted.set()
        # In rounds, since a thread that was between two programs starts its next one.
        while unfinished := set(running):
            process.interrupt_all()
            wait(unfinished, timeout=INTERRUPT_SECONDS)
        if is_outermost:
            _interrupted.clear()
        raise
    finally:
        pool.shutdown()


def call_in_order(
    calls: Iterable[tuple[int, Callable[[], Result]]],
    *,
    workers: int,
    window: int,
    finish: Callable[[Future[Result]], Result] = Future.result,
) -> Iterator[tuple[int, Result]]:
    """Make calls, `workers` at a time, and yield (index, result) in their order.

    At most `window` of them have begun without being yielded. `finish` waits for the result of one.
    """
    begun: deque[tuple[int, Future[Result]]] = deque()
    with threads(workers) as submit:
        for index, call in calls:
            begun.append((index, submit(call)))
            if len(begun) == window:
                first, future = begun.popleft()
                yield first, finish(future)
        for index, future in begun:
            yield index, finish(future)


def is_interrupted() -> bool:
    """Whether an interrupt is stopping all threads: an error of a child now means nothing else."""
    return _interrupted.is_set()


def raise_failures(outcomes: Sequence[Outcome[object]], skipped: Sequence[str] = (), nouns: str = "images") -> None:
    """Raise `join_failures`, if anything failed."""
    if error := join_failures(outcomes, skipped, nouns):
        raise error


def join_failures(
    outcomes: Sequence[Outcome[object]], skipped: Sequence[str] = (), nouns: str = "images"
) -> BakeryError | None:
    """One error for all failures: the error itself if it is alone, or a list; partial if anything succeeded.

    None without a failure. `nouns` says what the outcomes are of.
    """
    failures = [(outcome.name, outcome.error) for outcome in outcomes if outcome.error]
    if not failures:
        return None
    if len(outcomes) == 1 and not skipped:
        return failures[0][1]
    some = len(failures) < len(outcomes)
    error = join_errors(
        failures,
        f"{len(failures)} of {len(outcomes) + len(skipped)} {nouns} failed",
        "the others are recorded; run again to continue with the rest" if some else "fix it and run again",
        PartialError if some else BakeryError,
    )
    error.detail += "".join(f"\n{name}: not started, since its parent failed" for name in skipped)
    return error
