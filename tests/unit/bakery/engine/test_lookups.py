"""A plan by heads: it reads no record of an image that it keeps, and decides everything else by the records."""

import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest

from bakery.catalog import heads
from bakery.catalog.store import FolderStore
from bakery.engine.plan import Action
from unit.bakery.cli.cli_runner import CliRunner


@pytest.fixture
def published(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The images `base` and `web`, and a snapshot of both."""
    monkeypatch.setattr(heads, "FEW_CHANGES", 0)
    bakery.line()
    return bakery


def plan(bakery: CliRunner) -> dict[str, Action]:
    return {action.image: action for action in bakery.session().plan(None).actions}


def note_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store is asked for from now on."""
    requests: list[str] = []

    def note(name: str, method: Callable[[FolderStore, str], object]) -> None:
        def noted(self: FolderStore, key: str) -> object:
            requests.append(f"{name} {key}")
            return method(self, key)

        monkeypatch.setattr(FolderStore, name, noted)

    note("list", FolderStore.list)
    note("read", FolderStore.read)
    return requests


def test_a_plan_that_keeps_everything_reads_no_record(published: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = note_requests(monkeypatch)
    actions = plan(published)
    assert {name: action.kind for name, action in actions.items()} == {"base": "keep", "web": "keep"}
    assert not [request for request in requests if " images" in request]
    assert len(requests) <= 7


def make_due(bakery: CliRunner) -> Action:
    bakery.edit("web", "hello", "good morning")
    return plan(bakery)["web"]


def test_what_is_due_is_decided_by_the_records(published: CliRunner) -> None:
    """Somebody deleted the announcement of a revocation, so the heads have the version as it was."""
    catalog = published.catalog
    record = catalog.newest("web", "x86_64")
    assert record
    catalog.revise(replace(record, state="revoked"), "leaks")
    for announcement in (published.project.workspace / "catalog/index/changes").glob("*/images@web@*"):
        announcement.unlink()
    assert plan(published)["web"].kind == "keep"
    action = make_due(published)
    assert (action.kind, action.reason) == ("bake", "1.0.0 was revoked: leaks")


def test_a_change_without_a_snapshot_since(published: CliRunner) -> None:
    record = published.catalog.newest("web", "x86_64")
    assert record
    published.catalog.revise(replace(record, state="revoked"), "leaks")
    assert "revoked: leaks" in plan(published)["web"].reason


def test_failures_are_read_for_what_is_due(published: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakery.catalog.failure_log.now", lambda: "2099-01-31T12:00:00+00:00")
    published.edit("web", "tests: [base]", "tests: [base]\nmax_failures: 1")
    action = make_due(published)
    assert action.kind == "bake"
    published.catalog.keep_failure("web", "x86_64", "bake", action.input_key, "no space")
    assert plan(published)["web"].kind == "pause"


def test_a_plan_is_the_same_without_an_index(published: CliRunner) -> None:
    published.edit("web", "tests: [base]", "tests: [base]\nmax_failures: 1")
    make_due(published)
    by_heads = plan(published)
    shutil.rmtree(published.project.workspace / "catalog/index")
    assert plan(published) == by_heads
