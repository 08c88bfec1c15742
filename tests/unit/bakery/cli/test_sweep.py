"""`bakery sweep`: what it lists, asks, removes and keeps, for the local store and for a target that fails at times."""

import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds import CLOUDS
from bakery.clouds.target import Listing, Resource
from bakery.engine import publish, sweep
from bakery.host.errors import BakeryError, ExitCode
from bakery.model.version import ImageVersion
from unit.bakery.cli.cli_runner import CliRunner

OLD = time.time() - 3 * 86400
STORED = "web-1.0.0-x86_64.qcow2"
CHECKSUM = f"{STORED}.sha256"
AGED = "2026-01-01T00:00:00+00:00"


def age(path: Path) -> Path:
    os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def store(bakery: CliRunner) -> Path:
    """Web and its base are published, and all of it is old."""
    bakery.line()
    for path in bakery.project.store.iterdir():
        os.utime(path, (OLD, OLD), follow_symlinks=False)
    return bakery.project.store


def leave_draft(store: Path, name: str = ".disk-abcd1234", version: str = "1.0.0") -> Path:
    """What a run leaves that is killed while it stores a disk."""
    folder = store / name
    folder.mkdir()
    (folder / f"web-{version}-x86_64.qcow2").write_text("half a disk")
    age(folder / f"web-{version}-x86_64.qcow2")
    return folder


class Cloud:
    """A target with resources by location; some locations do not answer, some resources stay."""

    def __init__(self) -> None:
        self.resources: dict[str, list[Resource]] = {"1/eu-west-1": [], "1/us-east-1": []}
        self.unreachable: set[str] = set()
        self.staying: set[str] = set()
        self.killed_at = ""
        self.listed = 0

    def add(self, kind: Any, name: str, version: str = "1.0.0", location: str = "1/eu-west-1") -> Resource:
        resource = Resource(location, kind, name, version, AGED)
        self.resources[location].append(resource)
        return resource

    def list_resources(self, image: str, arch: str) -> Listing:
        assert (image, arch) == ("web", "x86_64")
        self.listed += 1
        reachable = {where: tuple(part) for where, part in self.resources.items() if where not in self.unreachable}
        return Listing(reachable, {where: BakeryError("no answer", where=where) for where in self.unreachable})

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        failures = {}
        for resource in resources:
            if resource.id == self.killed_at:
                raise KeyboardInterrupt
            if resource.id in self.staying:
                failures[resource] = BakeryError(f"cannot delete {resource.id}")
            else:
                self.resources[resource.location].remove(resource)
        return failures

    @property
    def names(self) -> set[str]:
        return {resource.id for part in self.resources.values() for resource in part}


@pytest.fixture
def cloud(bakery: CliRunner, store: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Web has a second target, at which it was never published."""
    cloud = Cloud()

    def open_target(*_: Any) -> Any:
        return cloud

    opened = replace(CLOUDS["aws"], open_target=open_target, try_login=lambda *_: None)
    monkeypatch.setitem(CLOUDS, "aws", opened)
    # All is a day later, so that the record of web is no reason to wait.
    monkeypatch.setattr(sweep, "now", lambda: "2036-01-01T00:00:00+00:00")
    settings = "distribution: {aws: {regions: [eu-west-1, us-east-1]}}"
    bakery.edit("web", "targets: [local]", f"targets: [local, aws]\n{settings}")
    return cloud


def test_a_store_without_leftovers(bakery: CliRunner, store: Path) -> None:
    before = sorted(store.iterdir())
    answer = bakery("sweep")
    assert (answer.code, answer.out) == (0, "0 resources to remove, 0 unknown\n0 resources removed\n")
    assert sorted(store.iterdir()) == before


def test_a_killed_runs_draft_is_listed_and_removed(bakery: CliRunner, store: Path) -> None:
    draft = leave_draft(store)
    before = set(store.iterdir())
    listed = bakery("sweep", "web", "--dry-run")
    assert (listed.code, set(store.iterdir())) == (0, before)
    assert "upload  .disk-abcd1234  remove" in listed.out
    removed = bakery("sweep", "web", "--yes")
    assert removed.code == 0
    assert removed.out == listed.out + "1 resource removed\n"
    assert set(store.iterdir()) == before - {draft}
    assert "0 resources to remove" in bakery("sweep", "web", "--yes").out


def test_a_quiet_sweep_removes_without_a_word(bakery: CliRunner, store: Path) -> None:
    draft = leave_draft(store)
    answer = bakery("sweep", "web", "--yes", "--quiet")
    assert (answer.code, answer.out, draft.exists()) == (0, "", False)


def test_a_disk_of_a_version_that_was_never_recorded_is_unknown(bakery: CliRunner, store: Path) -> None:
    """Another catalog may have it: a forgotten BAKERY_CATALOG costs nobody a disk."""
    disk = age(bakery.write(".bakery/store/web-1.0.7-x86_64.qcow2", "a disk"))
    answer = bakery("sweep", "web", "--yes")
    assert (answer.code, disk.exists()) == (0, True)
    assert "unknown  this catalog never had 1.0.7: is it the right one?" in answer.out


def test_another_catalog_removes_no_published_disk(bakery: CliRunner, store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = bakery("sweep", "--yes", "--catalog", str(tmp_path / "empty"))
    assert (answer.code, (store / STORED).exists()) == (0, True)
    assert "0 resources to remove, 2 unknown" in answer.out


def test_a_reservation_keeps_what_was_stored_until_it_expires(bakery: CliRunner, store: Path) -> None:
    line = bakery.catalog.record(ImageVersion("web", "x86_64", "1.0.0"))
    reserved = bakery.catalog.reserve("web", "x86_64", "1.0", "another", line.inputs, "me", "bake-private")
    assert reserved.version == "1.0.1"
    disk = age(bakery.write(".bakery/store/web-1.0.1-x86_64.qcow2", "a disk"))
    assert "0 resources to remove" in bakery("sweep", "web", "--yes").out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "is_expired", lambda record: record.version == "1.0.1")
        answer = bakery("sweep", "web", "--yes")
    assert "the reservation of 1.0.1 ended" in answer.out
    assert (disk.exists(), (store / STORED).exists()) == (False, True)


def test_it_asks_before_it_removes(bakery: CliRunner, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there in a job; at a terminal, only yes is yes. The list comes before the question."""
    draft = leave_draft(store)
    refused = bakery("sweep", "web")
    assert (refused.code, draft.exists()) == (ExitCode.USAGE, True)
    assert "nobody is there to answer: remove 1 resource?" in refused.err
    assert ".disk-abcd1234" in refused.out
    for typed, code, stays in (("n\n", ExitCode.USAGE, True), ("y\n", ExitCode.OK, False)):
        terminal = io.StringIO(typed)
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", terminal)
        assert (bakery("sweep", "web").code, draft.exists()) == (code, stays)


def test_the_actions_as_json(bakery: CliRunner, store: Path) -> None:
    leave_draft(store)
    shown, done = bakery("sweep", "web", "--dry-run", "--json"), bakery("sweep", "web", "--yes", "--json")
    assert shown.out == done.out
    (action,) = json.loads(done.out)
    assert action.pop("reason").startswith("the run that made 1.0.0 ended 20")
    assert action == {
        "image": "web",
        "arch": "x86_64",
        "version": "1.0.0",
        "target": "local",
        "location": str(store),
        "kind": "upload",
        "id": ".disk-abcd1234",
        "since": action["since"],
        "outcome": "remove",
        "definition": "web",
        "schema": "bakery/sweep-action/1",
    }


class TestWithoutDefinition:
    """The image `web` is in the catalog, and its definition is gone."""

    @pytest.fixture
    def gone(self, bakery: CliRunner, store: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
        monkeypatch.setattr(sweep, "now", lambda: "2036-01-01T00:00:00+00:00")
        (bakery.project.root / "packer/images/web.yaml").unlink()
        return bakery

    @pytest.mark.parametrize("names", [(), ("web",)])
    def test_what_its_runs_left_goes_and_its_versions_stay(
        self, gone: CliRunner, store: Path, names: tuple[str, ...]
    ) -> None:
        unknown = age(gone.write(".bakery/store/web-1.0.7-x86_64.qcow2", "a disk"))
        draft = leave_draft(store)
        before = set(store.iterdir())
        listed = gone("sweep", *names, "--dry-run")
        assert (listed.code, set(store.iterdir())) == (0, before)
        assert "1 resource to remove, 1 unknown" in listed.out
        (removed, kept) = json.loads(gone("sweep", *names, "--yes", "--json").out)
        if removed["outcome"] == "unknown":
            removed, kept = kept, removed
        assert (removed["image"], removed["definition"], removed["id"]) == ("web", "base", draft.name)
        assert (kept["id"], unknown.exists(), draft.exists()) == (unknown.name, True, False)
        assert (store / STORED).exists()

    def test_another_one_may_be_named_alone(self, gone: CliRunner, store: Path) -> None:
        draft = leave_draft(store)
        assert gone("sweep", "base", "--yes").code == 0
        assert draft.exists()

    def test_one_that_the_catalog_does_not_know_is_an_error(self, gone: CliRunner) -> None:
        answer = gone("sweep", "wob", "--yes")
        assert (answer.code, "no image named 'wob'" in answer.err) == (ExitCode.USAGE, True)

    def test_an_empty_catalog_looks_for_nothing_of_it(self, gone: CliRunner, store: Path, tmp_path: Path) -> None:
        leave_draft(store)
        (tmp_path / "empty").mkdir()
        answer = gone("sweep", "--dry-run", "--catalog", str(tmp_path / "empty"))
        assert "web-" not in answer.out and ".disk-" not in answer.out

    def test_targets_with_the_same_settings_are_asked_once(
        self, gone: CliRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of each other settings as well; a resource that two of them list is swept once."""
        cloud = Cloud()

        def open_target(*_: Any) -> Any:
            return cloud

        opened = replace(CLOUDS["aws"], open_target=open_target, try_login=lambda *_: None)
        monkeypatch.setitem(CLOUDS, "aws", opened)
        text = (gone.project.root / "packer/images/base.yaml").read_text()
        for name, region in (("one", "eu-west-1"), ("two", "eu-west-1"), ("three", "us-east-1")):
            settings = f"targets: [aws]\ndistribution: {{aws: {{regions: [{region}]}}}}"
            definition = text.replace("name: base", f"name: {name}").replace("targets: [local]", settings)
            gone.write(f"packer/images/{name}.yaml", definition)
        cloud.add("image", "ami-left")
        actions = json.loads(gone("sweep", "web", "--dry-run", "--json").out)
        assert [action["id"] for action in actions if action["target"] == "aws"] == ["ami-left"]
        assert cloud.listed == 2
        assert gone("sweep", "web", "--yes").code == 0
        assert cloud.names == set()


def test_a_run_that_publishes_here_keeps_its_version(bakery: CliRunner, cloud: Cloud) -> None:
    cloud.add("image", "ami-left")
    with publish.lock_version(bakery.project, ImageVersion("web", "x86_64", "1.0.0")):
        answer = bakery("sweep", "web", "--yes")
    assert (answer.code, cloud.names) == (ExitCode.TRY_AGAIN, {"ami-left"})
    assert "web image ami-left in 1/eu-west-1: web-1.0.0-x86_64 is being published by another run" in answer.err
    assert bakery("sweep", "web", "--yes").code == 0
    assert cloud.names == set()


def test_a_location_that_does_not_answer_is_an_error_and_the_rest_is_swept(bakery: CliRunner, cloud: Cloud) -> None:
    cloud.add("instance", "i-left")
    cloud.add("image", "ami-far", location="1/us-east-1")
    cloud.unreachable = {"1/us-east-1"}
    assert bakery("sweep", "web", "--dry-run").code == ExitCode.PARTIAL
    answer = bakery("sweep", "web", "--yes")
    assert (answer.code, cloud.names) == (ExitCode.PARTIAL, {"ami-far"})
    assert "1 location did not answer" in answer.err
    assert "web aws 1/us-east-1: 1/us-east-1: no answer" in answer.err


def test_what_stays_is_named_and_the_rest_is_removed(bakery: CliRunner, cloud: Cloud) -> None:
    for name in ("ami-1", "ami-2", "ami-3"):
        cloud.add("image", name)
    cloud.staying = {"ami-1", "ami-3"}
    answer = bakery("sweep", "web", "--yes")
    assert (answer.code, cloud.names) == (ExitCode.PARTIAL, {"ami-1", "ami-3"})
    assert answer.out.endswith("1 resource removed\n")
    for name in ("ami-1", "ami-3"):
        assert f"web image {name} in 1/eu-west-1: cannot delete {name}" in answer.err
    assert bakery("sweep", "web", "--yes").code == ExitCode.FAILED  # nothing could be removed


def test_a_run_that_is_killed_in_the_middle_is_continued(bakery: CliRunner, cloud: Cloud) -> None:
    for name in ("i-1", "i-2", "i-3"):
        cloud.add("instance", name)
    cloud.killed_at = "i-2"
    assert bakery("sweep", "web", "--yes").code == ExitCode.INTERRUPTED
    assert cloud.names == {"i-2", "i-3"}
    cloud.killed_at = ""
    assert bakery("sweep", "web", "--yes").code == 0
    assert cloud.names == set()


def test_what_came_into_use_since_the_list_stays(
    bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question may be open for long; the catalog is asked again."""
    cloud.add("image", "ami-left", "1.0.0")
    decide, asked = sweep.decide, []

    def decide_twice(*arguments: Any) -> sweep.Decision:
        asked.append(arguments[0].id)
        used = asked.count("ami-left") > 1
        return sweep.Decision("keep", "a run took it over") if used else decide(*arguments)

    monkeypatch.setattr(sweep, "decide", decide_twice)
    answer = bakery("sweep", "web", "--yes")
    assert (answer.code, cloud.names) == (0, {"ami-left"})
    assert answer.out.endswith("0 resources removed\n")
