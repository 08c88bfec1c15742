"""What targets have is compared with the catalog, and repaired."""

import json
from dataclasses import replace

import pytest

from bakery.engine import moves
from bakery.host.errors import BakeryError
from bakery.model.version import ImageVersion
from unit.bakery.cli.cli_runner import CliRunner


@pytest.fixture
def published(bakery: CliRunner) -> CliRunner:
    """Two versions of web at the local target; the channel points at the newer one."""
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    return bakery


def test_all_is_as_the_catalog_says(published: CliRunner) -> None:
    answer = published("audit")
    assert (answer.code, answer.out) == (0, "3 comparisons: 3 correct\n")
    rows = [line.split()[:4] for line in published("audit", "web", "--all").out.splitlines()[1:3]]
    assert rows == [["web", "1.0.1", "-", "local"], ["web", "1.0.1", "stable", "local"]]


def test_a_pointer_that_somebody_moved(published: CliRunner) -> None:
    link = published.project.store / "web-stable-x86_64.qcow2"
    link.unlink()
    link.symlink_to("web-1.0.0-x86_64.qcow2")
    answer = published("audit", "web")
    assert answer.code == 1
    assert "incorrect  web-stable-x86_64.qcow2 is web-1.0.0-x86_64.qcow2" in answer.out
    assert published("audit", "web", "--fix").code == 0
    assert str(link.readlink()) == "web-1.0.1-x86_64.qcow2"


def test_a_pointer_that_somebody_removed(published: CliRunner) -> None:
    link = published.project.store / "web-stable-x86_64.qcow2"
    link.unlink()
    assert "missing  expected web-1.0.1-x86_64.qcow2" in published("audit", "web").out
    assert published("audit", "web", "--fix").code == 0
    assert link.is_symlink()


def test_a_held_channel_stays_held(published: CliRunner) -> None:
    assert published("rollback", "web", "stable").code == 0
    (published.project.store / "web-stable-x86_64.qcow2").unlink()
    assert published("audit", "web", "--fix").code == 0
    entry = published.catalog.channel("web", "x86_64", "stable")
    assert entry
    assert (entry.version, entry.held) == ("1.0.0", True)


def test_a_move_that_was_interrupted(published: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seen by plan and audit, and finished."""
    with monkeypatch.context() as patch:
        patch.setattr(moves, "_write_pointers", lambda *_: 1 / 0)
        patch.setattr(moves, "_take_back", lambda *_: None)
        assert published("promote", "web", "1.0.0", "stable").code == 3
    answer = published("audit", "web")
    assert answer.code == 1
    assert "a move to 1.0.0 was interrupted" in answer.out
    assert "a move of stable to 1.0.0 was interrupted" in " ".join(published("plan", "web").out.split())
    assert published("audit", "web", "--fix").code == 0
    assert published.catalog.channel("web", "x86_64", "stable").version == "1.0.0"  # type: ignore[union-attr]


def test_a_disk_that_is_lost_is_told(published: CliRunner) -> None:
    """Nobody has its bytes any more, so the repair says what to do."""
    (published.project.store / "web-1.0.1-x86_64.qcow2").unlink()
    assert published("audit", "web").code == 1
    answer = published("audit", "web", "--fix")
    assert answer.code == 1
    assert "the store has no disk of web-1.0.1-x86_64" in answer.err
    assert "'bakery run --rebuild web'" in answer.err


def test_reports(published: CliRunner) -> None:
    (published.project.store / "web-stable-x86_64.qcow2").unlink()
    report = published.project.root / "audit.xml"
    answer = published("audit", "web", "--json", "--junit", str(report))
    assert answer.code == 1
    assert [(each["channel"], each["status"]) for each in json.loads(answer.out)] == [
        ("", "correct"),
        ("stable", "missing"),
    ]
    assert 'tests="2" failures="1"' in report.read_text()


def test_a_target_that_does_not_answer(published: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BakeryError("nobody answers", detail="connection refused")

    monkeypatch.setattr("bakery.clouds.local.target.LocalTarget.read_channel", fail)
    answer = published("audit", "web")
    assert answer.code == 1
    assert "unreachable  nobody answers: connection refused" in answer.out


def test_a_repair_that_fails_keeps_no_other_one_from_its_turn(published: CliRunner) -> None:
    """The table and the report for CI have everything."""
    store, report = published.project.store, published.project.root / "audit.xml"
    published("promote", "web", "1.0.0", "other", "--new")
    (store / "web-1.0.1-x86_64.qcow2").unlink()
    (store / "web-other-x86_64.qcow2").unlink()
    answer = published("audit", "web", "--fix", "--junit", str(report))
    assert answer.code == 1
    assert "missing  no " in answer.out
    assert (store / "web-other-x86_64.qcow2").is_symlink()
    assert "the store has no disk of web-1.0.1-x86_64" in report.read_text()


def test_a_channel_at_a_version_that_nobody_may_use(published: CliRunner) -> None:
    catalog = published.catalog
    record = catalog.record(ImageVersion("web", "x86_64", "1.0.1"))
    catalog.revise(replace(record, state="revoked"), "leaks")
    answer = published("audit", "web")
    assert answer.code == 1
    assert "it points at a version that is revoked" in answer.out
