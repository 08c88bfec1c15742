"""The demo of a crash: a promotion that is killed in the middle, and the next verb, which finishes it."""

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from bakery.catalog import ChannelEntry, ListedVersion
from bakery.demo import environment, images, story
from bakery.host import files, process
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event, Reporter
from bakery.host.waiting import wait_until
from bakery.model import documents

CHANNEL = "stable"
SLOW_SECONDS = 30.0  # of each write in the slow region: long enough to kill the promotion before
CALL_SECONDS = 60.0  # for the first write of a command that has just started
POLL_SECONDS = 0.2


def play(root: Path, report: Reporter, print_line: story.PrintLine) -> None:
    """Kill a promotion to an older version when some of its parameters have moved, and finish it by a run.

    UsageError unless the demo has made two versions.
    """
    project = story.project_of(root)
    with files.exclusive(project.workspace / "lock", "the demo is running already"):
        stage = story.Stage(project, environment.variables(project), report, print_line)
        newest, older = _choose_versions(stage)
        head = _read_channel(stage)
        regions = sorted({pointer.region for pointer in head.pointers})
        _slow_region(stage, regions[-1])
        _kill_promotion(stage, older, count=sum(pointer.region != regions[-1] for pointer in head.pointers))
        _clear_faults(stage)
        stage.report(Event("note", "demo", images.IMAGE, "the promotion was killed (SIGKILL)"))
        stage.run("plan", images.IMAGE)
        stage.run("run", images.IMAGE)
        stage.run("audit", images.IMAGE)
        stage.run("channel", "show", images.IMAGE, CHANNEL)
        stage.run("promote", images.IMAGE, newest, CHANNEL)


def _choose_versions(stage: story.Stage) -> tuple[str, str]:
    """The newest complete version, and the one before it."""
    listed = documents.parse(list[ListedVersion], stage.ask("catalog", images.IMAGE), "bakery catalog")
    versions = [version.version for version in listed if version.state == "complete"]
    if len(versions) < 2:
        raise UsageError(
            f"the demo has {len(versions)} version of {images.IMAGE}, and a promotion needs two",
            hint="run 'make demo CHANGE=1' first",
        )
    return versions[-1], versions[-2]


def _read_channel(stage: story.Stage) -> ChannelEntry:
    answer = stage.ask("channel", "show", images.IMAGE, CHANNEL)
    return documents.parse(list[ChannelEntry], answer, "bakery channel show")[-1]


def _kill_promotion(stage: story.Stage, version: str, count: int) -> None:
    """Start a promotion, and kill it when the stand-in has taken `count` of its writes."""
    before = _count_writes(stage)
    arguments = ("promote", images.IMAGE, version, CHANNEL)
    stage.print_line(f"$ bakery {' '.join(arguments)}")
    log = stage.project.logs / "demo-crash.log"
    child = process.spawn([story.program(), *arguments], env=stage.environment, log=log)
    try:
        done = wait_until(
            lambda: True if child.poll() is not None or _count_writes(stage) - before >= count else None,
            CALL_SECONDS,
            POLL_SECONDS,
        )
        if done is None or child.poll() is not None:
            raise BakeryError("the promotion ended before it could be killed", log=log)
    finally:
        child.kill()  # SIGKILL: nothing of it runs any more
        process.stop(child)


def _count_writes(stage: story.Stage) -> int:
    calls: list[dict[str, str]] = json.loads(_control(stage.environment, "GET", "calls"))
    return sum(call["action"] == "PutParameter" for call in calls)


def _slow_region(stage: story.Stage, region: str) -> None:
    rule = {"service": "ssm", "action": "PutParameter", "region": region, "kind": "slow", "seconds": SLOW_SECONDS}
    _control(stage.environment, "POST", "faults", [{**rule, "times": 10}])


def _clear_faults(stage: story.Stage) -> None:
    _control(stage.environment, "DELETE", "faults")


def _control(variables: Mapping[str, str], method: str, name: str, body: object = None) -> bytes:
    """Ask the AWS stand-in itself, which listens on loopback."""
    url, data = f"{variables['AWS_ENDPOINT_URL']}/_double/{name}", json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())
