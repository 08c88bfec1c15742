"""The whole line over an image and the one it is built on."""

import json
import os
import re
import shlex
import threading
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bakery.bake.request import BakeRequest
from bakery.catalog import Catalog, Record
from bakery.engine import run
from bakery.engine.session import Session
from bakery.engine.steps import BakeOptions, distribute_version
from bakery.host import files, process
from bakery.host.errors import BakeryError, NotFoundError, OutageError, PartialError, render_error
from bakery.host.events import Event
from bakery.model import documents
from bakery.model.documents import Artifact, Base, Verdict
from unit.bakery.cli.cli_runner import BASE, CliRunner

ALL = [f"{step} {image}" for image in ("base", "web") for step in ("bake", "verify", "publish")]


def test_parents_come_first(bakery: CliRunner) -> None:
    records = bakery.line()
    assert bakery.did == ALL
    assert [(record.image, record.version, record.state) for record in records] == [
        ("base", "1.0.0", "complete"),
        ("web", "1.0.0", "complete"),
    ]


def test_a_child_does_not_wait_for_images_that_are_no_parents_of_it(bakery: CliRunner) -> None:
    bakery.write("packer/images/app.yaml", BASE.replace("name: base", "name: app"))
    child_begins = threading.Event()
    bake = bakery.bake

    def wait_for_child(request: BakeRequest, *others: Any) -> Artifact:
        if request.definition.name == "web":
            child_begins.set()
        if request.definition.name == "app":
            assert child_begins.wait(10)
        return bake(request, *others)

    bakery.monkeypatch.setattr("bakery.engine.steps.bake", wait_for_child)
    assert [record.image for record in bakery.line(jobs=2)] == ["app", "base", "web"]


def test_a_child_that_was_published_is_not_among_those_that_did_not_start(bakery: CliRunner) -> None:
    """Its parent changed again while it was baked, and another image failed."""
    bakery.write("packer/images/app.yaml", BASE.replace("name: base", "name: app"))
    bakery.broken = {"bake app"}
    bake = bakery.bake

    def change_base(request: BakeRequest, *others: Any) -> Artifact:
        if request.definition.name == "web":
            bakery.write("packer/base/debian/network.yaml", "# another\n")
        return bake(request, *others)

    bakery.monkeypatch.setattr("bakery.engine.steps.bake", change_base)
    result = run.run_images(bakery.session(), None, 2, BakeOptions())
    assert [record.image for record in result.records] == ["base", "web"]
    assert result.skipped == []


def test_a_record_holds_what_is_known(bakery: CliRunner) -> None:
    parent, record = bakery.line()
    assert record == bakery.catalog.newest("web", "x86_64")
    (publication,) = record.publications
    assert (publication.target, publication.sha256) == ("local", record.sha256)
    assert record.base == Base("base", "1.0.0", parent.sha256)
    assert (record.checks, record.mode, record.os) == (2, "vm", "debian-12")
    assert record.inputs["base"] == parent.raw_sha256
    assert bakery.bases["base"].name == "debian bookworm"


def test_the_channel_follows(bakery: CliRunner) -> None:
    bakery.line()
    entry = bakery.catalog.channel("web", "x86_64", "stable")
    assert entry is not None
    assert (entry.version, entry.reason, len(entry.pointers)) == ("1.0.0", "published", 1)
    assert bakery.catalog.channels("base", "x86_64") == []


def test_a_second_run_does_nothing(bakery: CliRunner) -> None:
    bakery.line()
    assert bakery.line() == []
    assert bakery.did == []
    assert [event.text for event in bakery.events] == ["keep 1.0.0: inputs unchanged; not refreshed"] * 2


def test_only_the_named_image_and_its_parents(bakery: CliRunner) -> None:
    bakery.line("base")
    assert bakery.did == ALL[:3]
    bakery.line("web")
    assert bakery.did == ALL[3:]


def test_a_changed_variable_bakes_the_child_only(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    (record,) = bakery.line()
    assert (record.image, record.version) == ("web", "1.0.1")
    assert bakery.did == ALL[3:]
    channel = bakery.catalog.channel("web", "x86_64", "stable")
    assert channel and channel.version == "1.0.1"
    assert [event.text for event in bakery.events if event.stage == "plan"] == [
        "keep 1.0.0: inputs unchanged; not refreshed",
        'bake: var:nginx.nginx_message: "hello" -> "goodbye"',
    ]


def test_a_changed_parent_bakes_both(bakery: CliRunner) -> None:
    bakery.line()
    bakery.write("packer/base/debian/network.yaml", "# another\n")
    assert [(record.image, record.version) for record in bakery.line()] == [("base", "1.0.1"), ("web", "1.0.1")]
    assert bakery.bases["web"].version == "1.0.1"


def test_a_parent_that_came_out_the_same_leaves_its_child_alone(bakery: CliRunner) -> None:
    bakery.content["base"] = "always this"
    bakery.line()
    bakery.write("packer/base/debian/network.yaml", "# another\n")
    assert [(record.image, record.version) for record in bakery.line()] == [("base", "1.0.1")]
    assert bakery.did == ALL[:3]


def test_a_new_version_line_starts_at_zero(bakery: CliRunner) -> None:
    bakery.line()
    bakery.edit("web", '"1.0"', '"1.1"')
    assert [record.version for record in bakery.line()] == ["1.1.0"]


def test_a_month_later_an_image_is_too_old(bakery: CliRunner) -> None:
    """Its inputs are those of the version before, and so is its content: the image on top is kept."""
    bakery.baked_at = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    bakery.line()
    bakery.edit("base", "tests: [base]", "tests: [base]\nrebuild_after_days: 7")
    bakery.baked_at = datetime.now(UTC).isoformat()
    (record,) = bakery.line()
    assert (record.image, record.version, bakery.did) == ("base", "1.0.1", ALL[:3])
    assert "bake: 1.0.0 is 30 days old (rebuild_after_days: 7)" in [event.text for event in bakery.events]
    assert bakery.line() == []


class TestRebuild:
    @pytest.fixture
    def complete(self, bakery: CliRunner) -> CliRunner:
        """Both images at 1.0.0, baked long ago; what is baked from now on is newer than any call."""
        bakery.line()
        bakery.did.clear()
        bakery.baked_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        return bakery

    def test_all_images_get_a_new_version(self, complete: CliRunner) -> None:
        answer = complete("run", "--rebuild")
        assert answer.code == 0, answer.err
        assert complete.did == ALL
        assert answer.err.count("bake: asked for by --rebuild") == 2
        for image in ("base", "web"):
            assert complete.states(image) == {"1.0.0": "complete", "1.0.1": "complete"}
        assert complete.bases["web"].version == "1.0.1"
        assert complete.line() == []

    def test_a_named_image_leaves_its_parent_alone(self, complete: CliRunner) -> None:
        assert complete("run", "--rebuild", "web").code == 0
        assert complete.did == ALL[3:]

    def test_a_parent_with_new_content_brings_its_child(self, complete: CliRunner) -> None:
        complete.content["base"] = "patched"
        assert complete("run", "--rebuild", "base").code == 0
        assert complete.did == ALL[:3]
        (record,) = complete.line()
        assert (record.image, record.version) == ("web", "1.0.1")

    def test_a_parent_with_equal_content_leaves_its_child_alone(self, complete: CliRunner) -> None:
        assert complete("run", "--rebuild", "base").code == 0
        assert complete.states("base") == {"1.0.0": "complete", "1.0.1": "complete"}
        assert complete.line() == []

    def test_an_unpublished_disk_is_not_what_was_asked_for(self, bakery: CliRunner) -> None:
        with bakery.monkeypatch.context() as earlier:
            earlier.setattr("bakery.catalog.reservations.now", lambda: "2026-01-31T12:00:00+00:00")
            bakery("bake", "base")
        bakery.baked_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        assert bakery("run", "--rebuild", "base").code == 0
        assert bakery.states("base") == {"1.0.0": "reserved", "1.0.1": "complete"}

    def test_a_rebuild_that_failed_keeps_back_its_child(self, complete: CliRunner) -> None:
        complete.broken = {"bake base"}
        answer = complete("run", "--rebuild")
        assert answer.code == 1
        assert "web: not started, since its parent failed" in answer.err
        assert complete.did == ["bake base"]


class TestFailures:
    def test_of_a_child_leaves_the_base_complete(self, bakery: CliRunner) -> None:
        bakery.broken = {"bake web"}
        with pytest.raises(PartialError, match="1 of 2 images failed") as caught:
            bakery.line()
        assert caught.value.detail == "web: here:1: bake web failed (mend it)"
        assert bakery.states("base") == {"1.0.0": "complete"}
        assert bakery.states("web") == {"1.0.0": "reserved"}

    def test_of_a_base_leaves_the_child_alone(self, bakery: CliRunner) -> None:
        bakery.broken = {"bake base"}
        with pytest.raises(BakeryError, match="1 of 2 images failed") as caught:
            bakery.line()
        assert type(caught.value) is BakeryError
        assert caught.value.detail.splitlines() == [
            "base: here:1: bake base failed (mend it)",
            "web: not started, since its parent failed",
        ]
        assert bakery.did == ["bake base"]
        assert bakery.states("web") == {}

    def test_of_the_only_image_is_its_own_error(self, bakery: CliRunner) -> None:
        bakery.broken = {"bake base"}
        with pytest.raises(BakeryError, match=r"^bake base failed$") as caught:
            bakery.line("base")
        assert caught.value.where == "here:1"

    def test_of_siblings_are_all_told(self, bakery: CliRunner) -> None:
        text = (bakery.project.root / "packer/images/web.yaml").read_text()
        bakery.write("packer/images/api.yaml", text.replace("name: web", "name: api"))
        bakery.broken = {"bake api", "bake web"}
        with pytest.raises(PartialError, match="2 of 3 images failed") as caught:
            bakery.line(jobs=2)
        assert [line.split(":")[0] for line in caught.value.detail.splitlines()] == ["api", "web"]
        assert bakery.states("base") == {"1.0.0": "complete"}

    def test_exit_codes(self, bakery: CliRunner) -> None:
        bakery.broken = {"bake web"}
        answer = bakery("run")
        assert answer.code == 4
        assert answer.out.startswith(
            "IMAGE  VERSION  TARGET  LOCATIONS  CHANNEL\nbase   1.0.0    local   1          -\n"
        )
        assert "next: " not in answer.out
        assert "error: 1 of 2 images failed\n  web: here:1: bake web failed (mend it)\nhint: " in answer.err
        answer = bakery("run")
        assert (answer.code, answer.out) == (1, ""), "now it is the only one that is due"
        assert "error: here:1: bake web failed\nhint: mend it\nlog: " in answer.err

    def test_failing_checks_stop_before_publishing(self, bakery: CliRunner) -> None:
        bakery.failing_checks = {"base"}
        with pytest.raises(BakeryError, match=r"base 1\.0\.0 failed 1 of 2 checks") as caught:
            bakery.line("base")
        assert caught.value.detail == "answers: port 80 is closed"
        assert bakery.did == ["bake base", "verify base"]
        assert not documents.load(Verdict, bakery.folder("base", "1.0.0") / "verdict.json").passed
        assert bakery.states("base") == {"1.0.0": "reserved"}

    def test_input_that_changes_while_the_line_runs(self, bakery: CliRunner) -> None:
        bake = bakery.bake

        def restless(*arguments: object) -> object:
            bakery.write("packer/base/debian/network.yaml", "# changed meanwhile\n")
            return bake(*arguments)  # type: ignore[arg-type]

        bakery.monkeypatch.setattr("bakery.engine.steps.bake", restless)
        with pytest.raises(BakeryError, match="base changed again during the run"):
            bakery.line("base")


class TestStop:
    """The plan is made again when a parent is published, and fails then."""

    @pytest.fixture
    def others(self, bakery: CliRunner) -> CliRunner:
        """Images without a parent beside base and web."""
        for name in ("app", "bad", "tea", "zoo"):
            bakery.write(f"packer/images/{name}.yaml", BASE.replace("name: base", f"name: {name}"))
        return bakery

    def fail_plan(self, bakery: CliRunner, error: BakeryError) -> None:
        """Let the second plan fail. The other images end their bakes after that, as far as they have begun."""
        stopped = threading.Event()
        plan, bake, await_any = Session.plan, bakery.bake, run._ImageThreads.await_any
        plans: list[str] = []

        def fail_again(session: Session, *arguments: Any, **options: Any) -> Any:
            plans.append("plan")
            if len(plans) > 1:
                raise error
            return plan(session, *arguments, **options)

        def note_stop(threads: run._ImageThreads, images: Collection[str]) -> None:
            if not images:
                stopped.set()
            await_any(threads, images)

        def wait_for_stop(request: BakeRequest, *arguments: Any) -> Artifact:
            if request.definition.name != "base":
                assert stopped.wait(20)
            return bake(request, *arguments)

        bakery.monkeypatch.setattr(Session, "plan", fail_again)
        bakery.monkeypatch.setattr(run._ImageThreads, "await_any", note_stop)
        bakery.monkeypatch.setattr("bakery.engine.steps.bake", wait_for_stop)

    def test_what_runs_goes_on_and_is_reported_beside_the_error(self, others: CliRunner) -> None:
        others.broken = {"bake bad"}
        self.fail_plan(others, OutageError("the catalog does not answer", detail="503", hint="try later"))
        answer = others("run", "--jobs", "5")
        assert answer.code == OutageError.exit_code
        published = [line.split()[0] for line in answer.out.split("\n\n")[0].splitlines()[1:]]
        assert published == ["app", "base", "tea", "zoo"]
        assert {others.states(image)["1.0.0"] for image in published} == {"complete"}
        assert (
            "error: the catalog does not answer\n  503\n"
            "  web: not started, since the run stopped at this error\nhint: try later\n"
        ) in answer.err
        assert "error: 1 of 5 images failed\n  bad: here:1: bake bad failed (mend it)\n" in answer.err
        assert "no other image begins, and those that run go on: the catalog does not answer" in answer.err

    def test_an_image_that_waits_for_a_thread_does_not_begin(self, others: CliRunner) -> None:
        """`base` leaves its thread to the next image before the plan fails."""
        self.fail_plan(others, BakeryError("broken plan"))
        result = run.run_images(others.session(), None, 3, BakeOptions())
        assert [outcome.name for outcome in result.outcomes] == ["app", "bad", "base", "tea"]
        assert [record.image for record in result.records] == ["app", "bad", "base", "tea"]
        assert sorted(result.unbegun) == ["web", "zoo"]
        assert "bake zoo" not in others.did
        with pytest.raises(BakeryError, match="broken plan"):
            result.require_success()

    def test_a_child_of_a_failed_image_is_told_once(self, others: CliRunner) -> None:
        text = (others.project.root / "packer/images/web.yaml").read_text()
        others.write(
            "packer/images/son.yaml", text.replace("name: web", "name: son").replace("image: base", "image: bad")
        )
        others.broken = {"bake bad"}
        self.fail_plan(others, BakeryError("broken plan"))
        result = run.run_images(others.session(), ["web", "son"], 2, BakeOptions())
        assert (result.skipped, result.unbegun) == (["son"], ["web"])
        with pytest.raises(BakeryError, match="broken plan") as caught:
            result.require_success()
        assert caught.value.detail == "web: not started, since the run stopped at this error"
        [failures] = caught.value.others
        assert failures.detail.splitlines()[1:] == ["son: not started, since its parent failed"]

    def test_what_a_new_plan_lacks_stops_it_as_well(self, bakery: CliRunner) -> None:
        """An image is due only now, and a tool is gone by then."""
        bakery.line()
        bakery.edit("web", "hello", "goodbye")
        bake = bakery.bake

        def change_base(*arguments: Any) -> Artifact:
            bakery.write("packer/base/debian/network.yaml", "# another\n")
            bakery.broken = {"packer"}
            return bake(*arguments)

        bakery.monkeypatch.setattr("bakery.engine.steps.bake", change_base)
        result = run.run_images(bakery.session(), None, 1, BakeOptions())
        assert [record.image for record in result.records] == ["web"]
        assert result.unbegun == ["base"]
        with pytest.raises(BakeryError, match="packer is not on PATH"):
            result.require_success()

    def test_the_first_plan_is_an_error_of_its_own(self, bakery: CliRunner) -> None:
        bakery.broken = {"packer"}
        answer = bakery("run")
        assert (answer.code, bakery.did) == (1, [])
        assert "error: packer is not on PATH" in answer.err
        assert "not started" not in answer.err


class TestResume:
    def test_after_a_failed_publish_nothing_is_baked_or_verified_again(self, bakery: CliRunner) -> None:
        bakery.broken = {"publish base"}
        with pytest.raises(BakeryError, match="publish base failed"):
            bakery.line("base")
        bakery.broken.clear()
        (record,) = bakery.line("base")
        assert bakery.did == ["publish base"]
        assert record.version == "1.0.0"

    def test_after_a_failed_test_the_disk_is_only_tested_again(self, bakery: CliRunner) -> None:
        bakery.failing_checks = {"base"}
        with pytest.raises(BakeryError):
            bakery.line("base")
        bakery.failing_checks.clear()
        bakery.line("base")
        assert bakery.did == ["verify base", "publish base"]

    def test_a_failed_bake_keeps_its_number(self, bakery: CliRunner) -> None:
        bakery.broken = {"bake base"}
        with pytest.raises(BakeryError):
            bakery.line("base")
        bakery.broken.clear()
        assert [record.version for record in bakery.line("base")] == ["1.0.0"]
        assert bakery.states("base") == {"1.0.0": "complete"}

    def test_other_inputs_take_the_next_number(self, bakery: CliRunner) -> None:
        bakery.broken = {"publish base"}
        with pytest.raises(BakeryError):
            bakery.line("base")
        bakery.broken.clear()
        bakery.write("packer/base/debian/network.yaml", "# another\n")
        bakery.line("base")
        assert bakery.did == ALL[:3]
        assert bakery.states("base") == {"1.0.0": "reserved", "1.0.1": "complete"}


class TestPublishOnly:
    def test_a_new_tag_publishes_without_a_bake(self, bakery: CliRunner) -> None:
        bakery.line()
        bakery.edit("web", "channel: stable", "channel: stable\ntags: {team: shop}")
        assert "publish  1.0.0    tags changed: team" in bakery("plan").out
        (record,) = bakery.line()
        assert (bakery.did, record.version, record.tags) == ([], "1.0.0", {"team": "shop"})
        assert bakery.line() == []

    def test_a_new_target_and_region_publish_without_a_bake(self, bakery: CliRunner) -> None:
        bakery.line()
        aws = "targets: [local, aws]\ndistribution: {aws: {regions: [eu-west-1]}}"
        bakery.edit("web", "targets: [local]", aws)
        assert [action.kind for action in bakery.session().plan(None).actions] == ["keep", "publish"]
        bakery.broken = {"publish web"}
        with pytest.raises(BakeryError, match="publish web failed"):
            bakery.line()
        assert bakery.did == ["publish web"]

    def test_a_disk_that_is_elsewhere(self, bakery: CliRunner) -> None:
        """Only a target that never had the version needs it, and no image gives it back here."""
        bakery.line()
        bakery.edit("web", "channel: stable", "channel: stable\ntags: {team: shop}")
        (bakery.folder("web", "1.0.0") / "artifact.json").unlink()
        (record,) = bakery.line()
        assert record.tags == {"team": "shop"}
        aws = "targets: [local, aws]\ndistribution: {aws: {regions: [eu-west-1]}}"
        bakery.edit("web", "targets: [local]", aws)
        with pytest.raises(PartialError) as caught:
            bakery.line()
        text = render_error(caught.value)
        assert "no image gives the disk of web-1.0.0-x86_64 back" in text
        assert "'bakery run --rebuild web'" in text

    def test_a_disk_that_is_lost(self, bakery: CliRunner) -> None:
        (_, record) = bakery.line()
        (bakery.project.store / record.publications[0].locations[0].id).unlink()
        with pytest.raises(NotFoundError, match=r"the store has no disk of web-1\.0\.0") as caught:
            distribute_version(bakery.session(), "web", "1.0.0", follow=True)
        assert "'bakery run --rebuild web'" in caught.value.hint


def test_the_result_is_on_standard_output(bakery: CliRunner) -> None:
    answer = bakery("run")
    assert answer.code == 0
    assert [line.split()[:3] for line in answer.out.splitlines() if "1.0.0" in line] == [
        ["base", "1.0.0", "local"],
        ["web", "1.0.0", "local"],
    ]
    assert "bake: never baked" in answer.err


class TestScreen:
    """The text around the work of a run."""

    @pytest.fixture
    def changed(self, bakery: CliRunner) -> CliRunner:
        """Both images have a version whose seconds are known, and need another one."""
        for image in ("base", "web"):
            bakery.seconds |= {f"bake {image}": 102, f"verify {image}": 41}
        bakery.line()
        bakery.write("packer/base/debian/network.yaml", "# another\n")
        bakery.seconds |= {"bake web": 98.4, "verify web": 130}
        return bakery

    def test_the_end_says_what_is_live_and_how_long_it_took(self, changed: CliRunner) -> None:
        answer = changed("run")
        live, times, end = answer.out.split("\n\n")
        assert live.splitlines() == [
            "IMAGE  VERSION  TARGET  LOCATIONS  CHANNEL",
            "base   1.0.1    local   1          -",
            "web    1.0.1    local   1          stable 1.0.0 -> 1.0.1",
        ]
        assert [line for line in times.splitlines() if "publish local" not in line] == [
            "IMAGE  STEP           TIME",
            "base   bake           102 s (last time 102 s)",
            "base   verify         41 s (last time 41 s)",
            "web    bake           98 s (last time 102 s)",
            "web    verify         130 s (last time 41 s)",
        ]
        assert len(re.findall(r"publish local  .+ s \(last time .+ s\)$", times, re.MULTILINE)) == 2
        assert re.fullmatch(
            r"2 images at 2 locations in .+\nnext: 'bakery show web@stable' shows the ID at each location\n", end
        )
        assert changed("show", "web@stable").out.startswith("web 1.0.1 ")

    def test_the_first_version_has_nothing_to_compare_with(self, bakery: CliRunner) -> None:
        bakery.seconds = {"bake web": 98.4}
        answer = bakery("run")
        assert "web    bake           98 s\n" in answer.out
        assert "stable -> 1.0.0\n" in answer.out
        assert "last time" not in answer.out

    def test_a_publication_alone_has_only_its_own_time(self, bakery: CliRunner) -> None:
        bakery.seconds = {"bake web": 98.4}
        bakery.line()
        bakery.edit("web", "channel: stable", "channel: stable\ntags: {team: shop}")
        answer = bakery("run")
        assert "web    1.0.0    local   1          stable\n" in answer.out, "the channel points at it already"
        assert re.search(r"^web    publish local  .+ s \(last time .+ s\)$", answer.out, re.MULTILINE)
        assert " bake " not in answer.out
        assert re.search(r"^1 image at 1 location in .+; 1 unchanged$", answer.out, re.MULTILINE)

    def test_the_next_command_has_the_options_of_this_one(self, bakery: CliRunner, tmp_path: Path) -> None:
        answer = bakery("run", "--catalog", str(tmp_path / "a catalog"), "--workspace", "other")
        (line,) = [line for line in answer.out.splitlines() if line.startswith("next: ")]
        command = line.removeprefix("next: '").removesuffix("' shows the ID at each location")
        assert bakery(*shlex.split(command)[1:]).out.startswith("web 1.0.0 ")

    def test_quiet_says_nothing(self, changed: CliRunner) -> None:
        answer = changed("run", "--quiet")
        assert (answer.code, answer.out, answer.err) == (0, "", "")
        assert changed("run", "--quiet").out == ""

    @pytest.mark.parametrize("verb", ["bake", "verify", "publish"])
    def test_steps_say_nothing_when_quiet(self, bakery: CliRunner, verb: str) -> None:
        for step in ("bake", "verify", "publish"):
            answer = bakery(step, "base", *(["--quiet"] if step == verb else []))
            assert (answer.code, answer.out == "") == (0, step == verb)

    @pytest.mark.parametrize("verb", ["bake", "verify", "publish"])
    def test_no_table_without_rows(self, bakery: CliRunner, verb: str) -> None:
        bakery.broken.add("bake base")
        answer = bakery(verb, "base")
        assert answer.code != 0
        assert answer.out == ""

    def test_images_are_counted_and_the_time_left_is_estimated(self, changed: CliRunner) -> None:
        changed.line()
        assert [(event.subject, event.text) for event in changed.events if event.stage == "run"] == [
            ("base", "image 1 of 2, about 5 min left"),
            ("web", "image 2 of 2, about 2 min left"),
        ]

    def test_no_time_is_invented(self, changed: CliRunner) -> None:
        (changed.folder("base", "1.0.0") / "verdict.json").unlink()
        (changed.folder("base", "1.0.0") / "artifact.json").unlink()
        changed.broken = {"bake base"}
        with pytest.raises(BakeryError):
            changed.line()
        assert [event.text for event in changed.events if event.stage == "run"] == [
            "image 1 of 2, at least 2 min left"
        ], "only web says how long it took"
        text = (changed.project.root / "packer/images/base.yaml").read_text()
        changed.write("packer/images/api.yaml", text.replace("name: base", "name: api"))
        changed.events.clear()
        with pytest.raises(BakeryError):
            changed.line("api", "base")
        assert [event.text for event in changed.events if event.stage == "run"] == ["image 1 of 2", "image 2 of 2"]

    def test_images_that_are_kept_are_named_before_the_work(self, changed: CliRunner) -> None:
        changed.content["base"] = "always this"
        changed.line()
        changed.write("packer/base/debian/network.yaml", "# a third\n")
        changed.line()
        assert [(event.stage, event.subject, event.text.split(":")[0]) for event in notes(changed)] == [
            ("plan", "base", "bake"),
            ("run", "base", "image 1 of 2, about 6 min left"),
            ("plan", "web", "keep 1.0.1"),
        ], "a new parent with the same content is known only after its bake"


def notes(bakery: CliRunner) -> list[Event]:
    return [event for event in bakery.events if event.stage in ("plan", "run")]


def test_json_is_the_documents(bakery: CliRunner) -> None:
    found = documents.parse(list[Record], bakery("run", "--json").out.encode(), "stdout")
    assert [record.image for record in found] == ["base", "web"]
    assert documents.parse(list[Record], bakery("run", "--json").out.encode(), "stdout") == []


def test_json_has_what_was_published_beside_a_failure(bakery: CliRunner) -> None:
    bakery.broken = {"bake web"}
    answer = bakery("run", "--json")
    assert answer.code == 4, answer.err
    assert [record.image for record in documents.parse(list[Record], answer.out.encode(), "stdout")] == ["base"]


class TestPause:
    @pytest.fixture
    def limited(self, bakery: CliRunner) -> CliRunner:
        bakery.edit("base", "tests: [base]", "tests: [base]\nmax_failures: 2")
        bakery.broken = {"bake base"}
        for _ in range(2):
            with pytest.raises(BakeryError):
                bakery.line("base")
        return bakery

    def test_nothing_is_tried_again_and_all_verbs_say_it(self, limited: CliRunner) -> None:
        with pytest.raises(BakeryError) as caught:
            limited.line("base")
        assert limited.did == []
        assert caught.value.message.startswith("base is paused after 2 failures, the last on ")
        assert caught.value.message.endswith(" in bake: bake base failed")
        assert caught.value.hint == "fix the cause, or try the same inputs again with 'bakery run --rebuild base'"
        assert limited("bake", "base").code == 1
        assert "pause" in limited("plan", "base").out
        assert "base failed 2 times, last 0 h ago in bake: bake base failed\n" in limited("status").out
        assert len(json.loads(limited("status", "--json").out)["images"][0]["failures"]) == 2

    def test_a_change_ends_it(self, limited: CliRunner) -> None:
        limited.broken.clear()
        limited.edit("base", "tests: [base]", "tests: [base]\nsoftware: {packages: [jq]}")
        assert [record.version for record in limited.line("base")] == ["1.0.1"]
        assert "failed" not in limited("status").out

    def test_the_hint_ends_it(self, limited: CliRunner) -> None:
        limited.broken.clear()
        limited.baked_at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        answer = limited("run", "--rebuild", "base")
        assert answer.code == 0, answer.err
        assert "failed" not in limited("status").out

    def test_failed_checks_count(self, bakery: CliRunner) -> None:
        bakery.failing_checks = {"base"}
        with pytest.raises(BakeryError):
            bakery.line("base")
        (failure,) = bakery.catalog.failures_since("base", "x86_64", None)
        assert (failure.step, failure.message) == ("verify", "base 1.0.0 failed 1 of 2 checks")

    def test_what_is_not_the_images_fault_does_not_count(
        self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def sealed(*_: object) -> None:
            raise OutageError("Vault is sealed")

        monkeypatch.setattr("bakery.engine.steps.bake", sealed)
        with pytest.raises(BakeryError, match="Vault is sealed"):
            bakery.line("base")
        assert bakery.catalog.failures_since("base", "x86_64", None) == ()

    def test_a_full_disk_of_this_machine_does_not_count(
        self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fill(*_: object) -> None:
            with files.explain_refusals():
                Path("/dev/full").write_text("data")

        monkeypatch.setattr("bakery.engine.steps.bake", fill)
        with pytest.raises(BakeryError, match="No space left on device"):
            bakery.line("base")
        assert bakery.catalog.failures_since("base", "x86_64", None) == ()

    def test_an_interrupt_does_not_count(self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        bakery.write("packer/images/app.yaml", BASE.replace("name: base", "name: app"))
        running = threading.Event()

        def bake(request: BakeRequest, *_: object) -> None:
            if request.definition.name == "base":
                assert running.wait(10)
                raise KeyboardInterrupt
            process.run(["sh", "-c", "echo up; exec sleep 60"], on_output=lambda _: running.set())

        monkeypatch.setattr("bakery.engine.steps.bake", bake)
        monkeypatch.setenv("PATH", os.environ["PATH"] + os.pathsep + os.defpath)
        with pytest.raises(KeyboardInterrupt):
            bakery.line("base", "app", jobs=2)
        assert bakery.catalog.failures_since("app", "x86_64", None) == ()

    def test_a_catalog_that_cannot_keep_it_hides_nothing(
        self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OutageError("no space left")

        monkeypatch.setattr(Catalog, "keep_failure", refuse)
        bakery.broken = {"bake base"}
        with pytest.raises(BakeryError, match="bake base failed"):
            bakery.line("base")
        assert "the failure is not in the catalog: no space left" in [event.text for event in bakery.events]


@pytest.mark.parametrize("verb", ["bake", "run"])
def test_a_wrong_port_is_named_before_a_base_is_made(bakery: CliRunner, verb: str) -> None:
    bakery.monkeypatch.setenv("BAKERY_GUEST_PORTS", "8080-8090")
    answer = bakery(verb, "base")
    assert (answer.code, bakery.did) == (64, [])
    assert "'8080-8090' in BAKERY_GUEST_PORTS is no port" in answer.err
    assert bakery.states("base") == {}
