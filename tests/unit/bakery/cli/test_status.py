import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bakery.cli.status import render
from bakery.engine.status import ImageStatus, Status
from bakery.model.observations import Observation, Update, Upgrade
from unit.bakery.cli.cli_runner import CliRunner

OPENSSL = Update("openssl", "3.0.17-1~deb12u2", "3.0.17-1~deb12u3", "bookworm-security", True)
TZDATA = Update("tzdata", "2024a-0+deb12u1", "2025b-0+deb12u1", "bookworm-updates", False)
BASH = Update("bash", "5.1.8-6.el9", "5.1.8-9.el9", "baseos", None)


@pytest.fixture
def baked(bakery: CliRunner) -> CliRunner:
    bakery.line()
    return bakery


def observe(bakery: CliRunner, name: str, upgrade: Upgrade, version: str = "1.0.0", hours: int = 1) -> None:
    at = (datetime.now(UTC) - timedelta(hours=hours, minutes=1)).isoformat(timespec="seconds")
    bakery.catalog.keep_observations([Observation(name, "x86_64", version, at, (), upgrade)])


def rows(text: str) -> list[list[str]]:
    """Cells of the table without those of the age, which the clock decides."""
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()[1:]]
    return [[*row[:2], *row[3:]] for row in cells]


def test_an_image_that_was_not_refreshed_is_unknown(baked: CliRunner) -> None:
    answer = baked("status")
    assert (answer.code, rows(answer.out)) == (
        0,
        [[name, "1.0.0", "unknown", "unknown", "-", "never"] for name in ("base", "web")],
    )


def test_the_most_urgent_comes_first(baked: CliRunner) -> None:
    observe(baked, "base", Upgrade((TZDATA, TZDATA)))
    observe(baked, "web", Upgrade((OPENSSL,)))
    assert [row[:3] for row in rows(baked("status").out)] == [
        ["web", "1.0.0", "1/1"],
        ["base", "1.0.0", "0/2"],
    ]


def test_an_unknown_image_comes_before_one_without_security_updates(baked: CliRunner) -> None:
    observe(baked, "base", Upgrade((TZDATA,)))
    assert [row[0] for row in rows(baked("status").out)] == ["web", "base"]


@pytest.mark.parametrize(
    ("updates", "cell", "security"),
    [((BASH,), "?/1", None), ((BASH, OPENSSL), "1+/2", 1), ((BASH, TZDATA), "?/2", None)],
)
def test_updates_that_may_be_for_security_are_never_zero(
    baked: CliRunner, updates: tuple[Update, ...], cell: str, security: int | None
) -> None:
    observe(baked, "web", Upgrade(updates))
    assert rows(baked("status", "web").out)[0][2] == cell
    (state,) = json.loads(baked("status", "web", "--json").out)["images"]
    assert (state["security"], state["unclassified"]) == (security, 1)


def test_an_image_that_may_lack_a_fix_comes_before_one_that_lacks_none(baked: CliRunner) -> None:
    observe(baked, "base", Upgrade((TZDATA, TZDATA)))
    observe(baked, "web", Upgrade((BASH,)))
    assert [row[0] for row in rows(baked("status").out)] == ["web", "base"]


def test_an_image_that_was_never_baked_comes_last(bakery: CliRunner) -> None:
    bakery.line("base")
    observe(bakery, "base", Upgrade())
    assert bakery("status").out.splitlines()[2].split() == ["web", *6 * "-"]
    assert bakery("status", "--fail-on", "security").code == 0


def test_an_observation_of_an_older_version_says_nothing(baked: CliRunner) -> None:
    observe(baked, "web", Upgrade())
    baked.edit("web", "hello", "goodbye")
    baked.line()
    assert rows(baked("status", "web").out) == [["web", "1.0.1", "unknown", "unknown", "-", "never"]]


def test_channels_that_lag_behind_are_named(baked: CliRunner) -> None:
    baked.edit("web", "channel: stable", "channel: candidate")
    baked.edit("web", "hello", "goodbye")
    baked.line()
    observe(baked, "web", Upgrade(), "1.0.1")
    assert rows(baked("status", "web").out) == [["web", "1.0.1", "0/0", "unknown", "stable 1.0.0", "1 h"]]
    (state,) = json.loads(baked("status", "web", "--json").out)["images"]
    assert state["behind"] == {"stable": "1.0.0"}


def test_an_old_refresh_is_called_old(baked: CliRunner) -> None:
    observe(baked, "web", Upgrade(), hours=30)
    assert rows(baked("status", "web").out)[0][-1] == "30 h (old)"
    assert rows(baked("status", "web", "--max-age", "48").out)[0][-1] == "30 h"


def test_the_document(baked: CliRunner) -> None:
    observe(baked, "web", Upgrade((OPENSSL, TZDATA), held=(TZDATA,)))
    document = json.loads(baked("status", "web", "--json").out)
    assert document["schema"] == "bakery/status/1"
    (state,) = document["images"]
    assert {name: state[name] for name in ("updates", "security", "held", "old")} == {
        "updates": 3,
        "security": 1,
        "held": 1,
        "old": False,
    }


def test_a_lock_is_named_before_any_bake_or_refresh(bakery: CliRunner) -> None:
    bakery.line("base")
    for name, line in (("base", "targets: [local]\n"), ("web", "channel: stable\n")):
        bakery.edit(name, line, f"{line}package_versions: pinned\n")
    images = json.loads(bakery("status", "--json").out)["images"]
    assert [(one["image"], one["version"], one["package_versions"]) for one in images] == [
        ("base", "1.0.0", "pinned"),
        ("web", "", "pinned"),
    ]


class TestFailOnSecurity:
    def test_updates_for_security(self, baked: CliRunner) -> None:
        observe(baked, "base", Upgrade((TZDATA,)))
        observe(baked, "web", Upgrade((OPENSSL,)))
        answer = baked("status", "--fail-on", "security")
        assert (answer.code, len(answer.out.splitlines())) == (1, 3)
        assert answer.err.startswith("error: updates for security are due: web\n")

    def test_updates_that_a_lock_holds_back(self, baked: CliRunner) -> None:
        baked.edit("web", "channel: stable\n", "channel: stable\npackage_versions: pinned\n")
        observe(baked, "web", Upgrade((OPENSSL,)))
        observe(baked, "base", Upgrade((OPENSSL,)))
        answer = baked("status", "--fail-on", "security")
        assert answer.out.splitlines()[-2:] == ["", "web has a lock: 'bakery update web' brings its updates"]
        assert "for images with a lock after 'bakery update web'" in answer.err

    def test_a_held_update_for_security(self, baked: CliRunner) -> None:
        """The hole is there whether apt closes it or not."""
        observe(baked, "web", Upgrade(held=(OPENSSL,)))
        assert baked("status", "web", "--fail-on", "security").code == 1

    def test_other_updates(self, baked: CliRunner) -> None:
        observe(baked, "web", Upgrade((TZDATA,)))
        answer = baked("status", "web", "--fail-on", "security")
        assert (answer.code, answer.err) == (0, "")

    @pytest.mark.parametrize("hours", [25, None])
    def test_what_nobody_knows(self, baked: CliRunner, hours: int | None) -> None:
        if hours:
            observe(baked, "web", Upgrade(), hours=hours)
        answer = baked("status", "web", "--fail-on", "security")
        assert answer.code == 1
        assert answer.err.startswith("error: updates are unknown, or the last refresh is too old: web\n")

    def test_updates_that_nobody_classified(self, baked: CliRunner) -> None:
        observe(baked, "web", Upgrade((BASH,)))
        answer = baked("status", "web", "--fail-on", "security")
        assert answer.code == 1
        assert answer.err.startswith("error: updates may be for security: web\n")

    def test_another_word(self, bakery: CliRunner) -> None:
        assert bakery("status", "--fail-on", "everything").code == 64


def test_a_row_fits_80_columns() -> None:
    now = datetime(2026, 2, 1, tzinfo=UTC)
    at = (now - timedelta(days=10)).isoformat()
    behind = {"candidate": "1.0.118", "stable": "1.0.117"}
    one = ImageStatus("debian-12-web", "aarch64", "1.0.120", at, 112, 34, 2, behind, at, old=True)
    header, row = render(Status(now.isoformat(), (one,))).splitlines()
    assert row.split("  ")[0] == "debian-12-web"
    assert row.endswith("10 d  34/112   unknown  candidate 1.0.118 +1  10 d (old)")
    assert max(len(header), len(row)) <= 80


def test_a_report_for_ci_has_a_case_for_each_image(baked: CliRunner, tmp_path: Path) -> None:
    observe(baked, "web", Upgrade((OPENSSL, TZDATA)))
    report = tmp_path / "status.xml"
    assert baked("status", "--junit", str(report)).code == 0
    suite = ElementTree.parse(report).getroot()
    failures = {case.get("name"): case.find("failure") for case in suite}
    messages = {name: failure.get("message") for name, failure in failures.items() if failure is not None}
    assert messages == {
        "web": "web 1.0.0 lacks 1 update for security",
        "base": "the updates of base 1.0.0 are unknown, or its last refresh is too old",
    }
    observe(baked, "base", Upgrade((TZDATA,)))
    observe(baked, "web", Upgrade())
    assert baked("status", "--fail-on", "security", "--junit", str(report)).code == 0
    assert ElementTree.parse(report).getroot().get("failures") == "0"


def test_a_report_for_ci_fails_where_the_gate_fails(baked: CliRunner, tmp_path: Path) -> None:
    observe(baked, "base", Upgrade())
    observe(baked, "web", Upgrade((BASH,)))
    report = tmp_path / "status.xml"
    assert baked("status", "--fail-on", "security", "--junit", str(report)).code == 1
    suite = ElementTree.parse(report).getroot()
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["web"]
