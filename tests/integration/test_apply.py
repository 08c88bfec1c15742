"""`bakery diff` and `bakery apply` with the real cdktf and Terraform, their state on the AWS stand-in."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.engine.session import open_catalog
from doubles.aws.client import StandIn, running
from integration.fake_project import CliResult, FakeProject, end
from integration.published_images import (
    REGIONS,
    ROOT,
    PublishedImages,
    environment,
    images_of,
    make_state_bucket,
    project,
)

pytestmark = pytest.mark.integration

HOME = REGIONS[0]
SECONDS = 60  # until something is seen; on a busy machine, most of it is the start of programs
READ = "${data.terraform_remote_state.cross-stack-reference-input-one.outputs.number}"


@pytest.fixture(scope="module")
def aws() -> Iterator[StandIn]:
    with running() as found:
        make_state_bucket(found)
        yield found


@pytest.fixture
def small(aws: StandIn, tmp_path: Path) -> FakeProject:
    return FakeProject(tmp_path, aws, tmp_path.name)


def number(value: str, replaced_by: str = "") -> dict[str, Any]:
    """A stack with a number that others can read."""
    resource = {"input": value, "triggers_replace": [replaced_by]}
    outputs = {"number": {"value": value}, "password": {"value": f"hidden-{value}", "sensitive": True}}
    return {"resource": {"terraform_data": {"it": resource}}, "output": outputs}


def slow(go: Path) -> dict[str, Any]:
    """A stack with a resource that is made at once, and one that waits for a file."""
    command = f"touch started; until [ -e '{go}' ]; do sleep 0.1; done"
    waiting = {"depends_on": ["terraform_data.first"], "provisioner": [{"local-exec": {"command": command}}]}
    return {"resource": {"terraform_data": {"first": {"input": "saved"}, "slow": waiting}}}


def topic(display_name: str) -> dict[str, Any]:
    """A stack with something in AWS that somebody can change by hand."""
    resource = {"name": "bakery-drift", "display_name": display_name}
    return {"provider": {"aws": [{"region": HOME}]}, "resource": {"aws_sns_topic": {"news": resource}}}


def until(what: str, seen: Callable[[], bool]) -> None:
    """Look until something is there."""
    deadline = time.monotonic() + SECONDS
    while not seen():
        assert time.monotonic() < deadline, f"after {SECONDS} s: {what}"
        time.sleep(0.1)


def start_and_wait_for_the_slow_one(small: FakeProject, workspace: str = ".bakery") -> "subprocess.Popen[str]":
    applying = small.start("apply", "slow", workspace=workspace)
    started = small.root / workspace / "cdktf.out" / "stacks" / "slow" / "started"
    until("Terraform has not started", lambda: started.exists() or applying.poll() is not None)
    assert small.locked("slow")
    return applying


def test_from_nothing_to_no_changes(small: FakeProject) -> None:
    """Two stacks, of which the second reads the first. What a failed apply of the second says; then both."""
    small.write("two", {"resource": {"terraform_data": {"reader": {"input": READ}}}}, needs=["one"])
    small.write("one", number("1"))
    before = small("diff", "--detailed-exitcode", "--report", "report.json")
    assert before.code == 2, before.err
    assert before.out == (
        "one: 1 to add, 0 to change, 0 to replace, 0 to destroy; outputs change\n"
        "  add      terraform_data.it\n"
        '  output   number: (none) -> "1"\n'
        "  output   password: (sensitive) -> (sensitive)\n"
        "two: cannot be planned before one is applied: it reads outputs that do not exist yet\n"
    )
    assert json.loads((small.root / "report.json").read_text()) == {"create": 1, "update": 0, "delete": 0}
    too_early = small("apply", "two")
    assert too_early.code == 1
    assert "hint: run 'bakery apply one' first" in too_early.err

    first = small("apply", "--outputs", "outputs.json")
    assert first.code == 0, first.err
    assert [line.split() for line in first.out.splitlines()[1:]] == [
        ["one", "1", "0", "0", "0", "applied"],
        ["two", "1", "0", "0", "0", "applied"],
    ]
    assert json.loads((small.root / "outputs.json").read_text()) == {"one": {"number": "1"}, "two": {}}
    second = small("apply")
    assert second.out.count("no changes") == 2
    assert small("diff", "--detailed-exitcode").code == 0
    assert not [path for path in (small.root / ".bakery").iterdir() if path.name.startswith(".plan")]
    everything = first.err + first.out + before.err + "".join(logs(small))
    assert "hidden-1" not in everything


def test_what_destroys_is_refused_unless_it_is_allowed(small: FakeProject) -> None:
    small.write("one", number("1"))
    small.write("two", number("2"))
    small("apply")
    small.write("one", number("10"))
    small.write("two", number("2", replaced_by="x"))
    refused = small("apply", "--report", "report.json")
    assert refused.code == 4, refused.err
    assert "error: the plan of two destroys or replaces 1 resource\n  replace terraform_data.it\n" in refused.err
    assert "  applied: one\n" in refused.err
    assert json.loads((small.root / "report.json").read_text()) == {"create": 1, "update": 1, "delete": 1}
    again = small("apply")
    assert again.code == 1, "nothing was applied this time"
    allowed = small("apply", "--allow-destroy")
    assert allowed.code == 0, allowed.err
    assert allowed.out.splitlines()[-1].split() == ["two", "0", "0", "1", "0", "applied"]


def test_drift_is_told_apart_from_changes(small: FakeProject, aws: StandIn) -> None:
    sns = aws.client("sns", HOME)
    small.write("drift", topic("News"))
    assert small("apply").code == 0
    assert small("diff", "--detailed-exitcode").out == "drift: no changes\n"
    [arn] = [found["TopicArn"] for found in sns.list_topics()["Topics"]]

    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="by hand")
    seen = small("diff", "--detailed-exitcode")
    assert seen.code == 2, seen.err
    assert "  change   aws_sns_topic.news: display_name\n" in seen.out
    assert "drift    aws_sns_topic.news: somebody changed it (display_name) outside of Terraform; an apply" in seen.out
    assert small("apply").code == 0
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == "News"

    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "found", "Value": "by hand"}])
    sns.delete_topic(TopicArn=arn)
    gone = small("diff", "--detailed-exitcode")
    assert "  add      aws_sns_topic.news\n" in gone.out
    assert "  drift    aws_sns_topic.news: somebody removed it outside of Terraform; an apply corrects it\n" in gone.out


def test_of_two_applies_at_once_one_waits(small: FakeProject) -> None:
    """The same state from three folders, as from three machines; and twice from the same folder."""
    go = small.root / "go"
    small.write("slow", slow(go))
    first = start_and_wait_for_the_slow_one(small)
    impatient = small("apply", "slow", "--lock-timeout", "0", workspace="impatient")
    assert impatient.code == 75, impatient.err
    assert re.search(r"error: .*: the state is locked by \S+@\S+ since 20", impatient.err)
    beside = small("apply", "slow", "--lock-timeout", "0")
    assert (beside.code, "is running in this workspace" in beside.err) == (75, True), beside.err
    looking = small("diff", workspace="impatient")
    assert looking.code == 0, "a look needs no lock"

    patient = small.start("apply", "slow", workspace="patient")
    until("nobody waits", lambda: any("waiting up to" in log for log in logs(small, "patient")))
    go.touch()
    assert end(first).code == 0
    second = end(patient)
    assert second.code == 0, second.err
    assert "the state is locked by" in second.err
    assert second.out.splitlines()[-1].split() == ["slow", "0", "0", "0", "0", "no", "changes"]
    assert not small.locked("slow")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_the_state_usable(small: FakeProject, number: int) -> None:
    """Ctrl-C, and what GitLab sends to a job that is cancelled."""
    go = small.root / "go"
    small.write("slow", slow(go))
    applying = start_and_wait_for_the_slow_one(small)
    applying.send_signal(number)
    stopped = end(applying)
    assert stopped.code == 130, stopped.err
    assert "Interrupt received" in stopped.err
    assert not small.locked("slow")
    assert small("diff").out == (
        "slow: 0 to add, 0 to change, 1 to replace, 0 to destroy\n"
        "  replace  terraform_data.slow (the apply that made it failed)\n"
    )
    go.touch()
    assert small("apply").code == 1, "half made is made: whether it may go is for somebody to say"
    assert small("apply", "--allow-destroy").code == 0
    assert small("diff").out == "slow: no changes\n"


def test_after_a_crash_of_everything_the_lock_is_named(small: FakeProject) -> None:
    go = small.root / "go"
    small.write("slow", slow(go))
    applying = start_and_wait_for_the_slow_one(small)
    kill_terraform_of(applying)
    applying.kill()
    end(applying)
    assert small.locked("slow"), "who would have freed it?"

    held = small("apply", "--lock-timeout", "0")
    assert held.code == 75, held.err
    found = re.search(
        r"if it was killed, run '(terraform force-unlock) (\S+)' in (\S+), with what 'bakery env'", held.err
    )
    assert found, held.err
    unlock = f'eval "$(bakery env)" && cd {found[3]} && {found[1]} -force {found[2]}'
    subprocess.run(["bash", "-c", unlock], env=small.environment, cwd=small.root, check=True, timeout=SECONDS)
    assert not small.locked("slow")
    go.touch()
    assert small("apply", "--allow-destroy").code == 0
    assert small("diff").out == "slow: no changes\n"


def kill_terraform_of(applying: "subprocess.Popen[str]") -> None:
    """Its whole group at once, as when a machine dies."""
    children = Path(f"/proc/{applying.pid}/task/{applying.pid}/children").read_text().split()
    [terraform] = [int(pid) for pid in children if "terraform" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.killpg(terraform, signal.SIGKILL)


def logs(small: FakeProject, workspace: str = ".bakery") -> list[str]:
    return [path.read_text() for path in (small.root / workspace / "logs").glob("*.log")]


@pytest.mark.soak  # test_stacks.py deploys them and promotes, others here show no changes
def test_the_stacks_of_the_project(tmp_path: Path) -> None:
    """A promotion is what there is to review; then it is applied, and nothing is left to do."""
    with running() as aws:
        make_state_bucket(aws)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(aws).items():
                patch.setenv(name, value)
            bakery = Bakery(tmp_path)
            first = bakery("apply", "distribution")
            assert first.code == 0, first.err
            shelf = PublishedImages(aws, open_catalog(project(tmp_path), "s3://bakery-demo-catalog/catalog"))
            record = shelf.publish("1.0.0")
            shelf.promote(record)
            done = bakery("apply", "distribution", "images", "--outputs", str(tmp_path / "outputs.json"))
            assert done.code == 0, done.err
            web = json.loads((tmp_path / "outputs.json").read_text())["images"]["images"]["web"]["x86_64"]
            assert {region: location["image_id"] for region, location in web["regions"].items()} == images_of(record)
            shelf.promote(shelf.publish("1.0.1"))
            promoted = bakery("diff", "images", "--detailed-exitcode")
            assert promoted.code == 2, promoted.err
            assert '  output   images.web.x86_64.version: "1.0.0" -> "1.0.1"\n' in promoted.out
            assert bakery("apply", "images").code == 0
            clean = bakery("diff", "distribution", "images", "--detailed-exitcode")
            assert (clean.code, clean.out) == (0, "distribution: no changes\nimages: no changes\n"), clean.out


class Bakery:
    """The command line in this project, with a workspace of its own."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace

    def __call__(self, *arguments: str) -> CliResult:
        command: list[str | Path] = [
            Path(sys.executable).with_name("bakery"),
            *arguments,
            "--workspace",
            str(self.workspace),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        return CliResult(done.returncode, done.stdout, done.stderr)
