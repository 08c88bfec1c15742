"""Several images side by side."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from bakery.host import parallel, process
from bakery.host.errors import BakeryError, BusyError, ExitCode, OutageError, PartialError, UsageError

NAMES = ["api", "base", "web"]


def fail_for(*names: str) -> list[parallel.Outcome[str]]:
    def work(name: str) -> str:
        if name in names:
            raise BakeryError("it broke", where=f"{name}.yaml:3", detail="one\ntwo", hint="mend it")
        return name.upper()

    return parallel.run_parallel(NAMES, work, 1)


@pytest.mark.parametrize("jobs", [1, 3])
def test_outcomes_are_in_the_order_of_the_names(jobs: int) -> None:
    done = {name: threading.Event() for name in NAMES}

    def work(name: str) -> str:
        following = NAMES[NAMES.index(name) + 1 :]
        if jobs == 3 and following:  # the first one ends last: all are at work at once
            assert done[following[0]].wait(10)
        done[name].set()
        if name == "base":
            raise UsageError("it broke")
        return name.upper()

    outcomes = parallel.run_parallel(NAMES, work, jobs)
    assert [(outcome.name, outcome.result) for outcome in outcomes] == [("api", "API"), ("base", None), ("web", "WEB")]
    assert isinstance(outcomes[1].error, UsageError)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_bug_is_not_an_outcome(jobs: int) -> None:
    with pytest.raises(ZeroDivisionError):
        parallel.run_parallel(NAMES, lambda _: str(1 // 0), jobs)


def test_a_full_disk_fails_one_image() -> None:
    def work(name: str) -> str:
        if name == "base":
            Path("/dev/full").write_text("data")
        return name.upper()

    outcomes = parallel.run_parallel(NAMES, work, 1)
    assert [outcome.result for outcome in outcomes] == ["API", None, "WEB"]
    assert "No space left on device" in str(outcomes[1].error)


def test_no_failure() -> None:
    parallel.raise_failures(fail_for())
    parallel.raise_failures([])


def test_failures_that_all_say_to_try_again_do_so_together() -> None:
    busy = parallel.Outcome[str]("api", None, BusyError("locked"))
    out = parallel.Outcome[str]("web", None, OutageError("not there"))
    with pytest.raises(BakeryError) as caught:
        parallel.raise_failures([busy, out, parallel.Outcome("base", "BASE", None)])
    assert caught.value.exit_code == ExitCode.TRY_AGAIN
    with pytest.raises(PartialError):
        parallel.raise_failures([busy, *fail_for("web")])


def test_some_failures() -> None:
    with pytest.raises(PartialError) as caught:
        parallel.raise_failures(fail_for("api", "web"))
    error = caught.value
    assert error.message == "2 of 3 images failed"
    assert error.detail.splitlines() == [
        *("api: api.yaml:3: it broke (mend it)", "  one", "  two"),
        *("web: web.yaml:3: it broke (mend it)", "  one", "  two"),
    ]
    assert error.hint == "the others are recorded; run again to continue with the rest"


def test_nothing_but_failures() -> None:
    with pytest.raises(BakeryError) as caught:
        parallel.raise_failures(fail_for(*NAMES))
    assert type(caught.value) is BakeryError
    assert caught.value.message == "3 of 3 images failed"
    assert caught.value.hint == "fix it and run again"


def test_a_single_failure_is_its_own_error() -> None:
    error = UsageError("it broke")
    with pytest.raises(UsageError) as caught:
        parallel.raise_failures([parallel.Outcome("web", None, error)])
    assert caught.value is error


def test_what_was_not_started_is_named() -> None:
    with pytest.raises(BakeryError) as caught:
        parallel.raise_failures([parallel.Outcome("base", None, BakeryError("it broke"))], ["api", "web"])
    assert type(caught.value) is BakeryError
    assert caught.value.message == "1 of 3 images failed"
    assert caught.value.detail.splitlines() == [
        "base: it broke",
        "api: not started, since its parent failed",
        "web: not started, since its parent failed",
    ]


def test_an_interrupt_stops_the_children_of_all() -> None:
    running, ended = threading.Event(), []

    def work(name: str) -> None:
        if name == "first":
            assert running.wait(10)
            raise KeyboardInterrupt
        try:
            process.run(["sh", "-c", "echo up; exec sleep 60"], on_output=lambda _: running.set())
        except process.ProcessError as error:
            ended.append(error.returncode)  # its process is gone
            raise

    with pytest.raises(KeyboardInterrupt):
        parallel.run_parallel(["first", "second"], work, 2)
    assert len(ended) == 1
    assert ended[0] < 0


def test_an_interrupt_stops_what_starts_after_it() -> None:
    second_began, started = threading.Event(), []

    def work(name: str) -> None:
        if name == "first":
            assert second_began.wait(10)
            raise KeyboardInterrupt
        for _ in range(2):
            second_began.set()
            started.append(name)
            with suppress(process.ProcessError):  # as somebody would who goes on after a failure
                process.run(["sleep", "60"])

    with pytest.raises(KeyboardInterrupt):
        parallel.run_parallel(["first", "second"], work, 2)
    assert started == ["second", "second"]


def test_a_failure_lets_the_children_of_others_end() -> None:
    """Work of another image goes on; only an interrupt is for all."""
    started, release = threading.Event(), threading.Event()
    finished: list[int] = []

    def other() -> None:
        finished.append(process.run(["sh", "-c", "echo up; sleep 0.3"], on_output=lambda _: started.set()).returncode)

    thread = threading.Thread(target=other)
    thread.start()
    assert started.wait(10)
    with pytest.raises(BakeryError, match="broken"), parallel.threads(2) as submit:
        submit(release.wait)
        release.set()
        raise BakeryError("broken")
    thread.join()
    assert finished == [0]


@pytest.mark.parametrize(
    ("cores", "gib", "jobs"), [(1, 24, 1), (2, 24, 1), (3, 24, 1), (8, 24, 4), (8, 7, 2), (8, 1, 1), (64, 300, 32)]
)
def test_as_many_jobs_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, gib: int, jobs: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(Path, "read_text", lambda _: f"MemTotal: 1 kB\nMemAvailable: {gib << 20} kB\n")
    assert parallel.count_jobs(cores=2, memory=3 << 30) == jobs
