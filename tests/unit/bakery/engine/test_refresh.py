"""A refresh keeps what archives have for the newest versions, and what other images had before."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bakery.engine import refresh
from bakery.engine.refresh import refresh_images
from bakery.host.errors import BakeryError, OutageError
from bakery.model.observations import Archive, Observation, Update, Upgrade
from bakery.refresh import Archives, UnknownPackagesError
from unit.bakery.cli.cli_runner import CliRunner

ARCHIVE = Archive("http://deb.debian.org/debian", "bookworm", "2026-01-31T12:00:00+00:00", "a" * 64, False, "b" * 64)
OPENSSL = Update("openssl", "3.0.17-1~deb12u2", "3.0.17-1~deb12u3", "bookworm-security", True)
TZDATA = Update("tzdata", "2024a-0+deb12u1", "2025b-0+deb12u1", "bookworm-updates", False)
Observe = Callable[[bytes, Archives], tuple[tuple[Archive, ...], Upgrade]]


@pytest.fixture
def baked(bakery: CliRunner) -> CliRunner:
    """The images `base` and `web` with known packages."""
    bakery.packages = {"base": {"openssl": "3.0.17-1~deb12u2"}, "web": {"openssl": "3.0.17-1~deb12u2"}}
    bakery.line()
    return bakery


def answer(monkeypatch: pytest.MonkeyPatch, observe: Observe) -> list[bytes]:
    """Answer for the package archives; the databases that were asked about."""
    databases: list[bytes] = []

    def noted(database: bytes, archives: Archives) -> tuple[tuple[Archive, ...], Upgrade]:
        databases.append(database)
        return observe(database, archives)

    monkeypatch.setattr(refresh, "observe_updates", noted)
    return databases


def test_observations_are_kept_in_the_catalog(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    databases = answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((OPENSSL, TZDATA))))
    result = baked("refresh")
    assert (result.code, result.out.splitlines()) == (
        0,
        [
            "IMAGE  VERSION  UPDATES  SECURITY  HELD",
            "base   1.0.0    2        1         0",
            "web    1.0.0    2        1         0",
        ],
    )
    assert databases == [b"packages of base 1.0.0", b"packages of web 1.0.0"]
    kept = baked.catalog.newest_observations()
    assert [(one.image, one.arch, one.version) for one in kept.observations] == [
        ("base", "x86_64", "1.0.0"),
        ("web", "x86_64", "1.0.0"),
    ]
    assert (kept.observations[0].archives, kept.observations[0].upgrade.updates) == ((ARCHIVE,), (OPENSSL, TZDATA))


def test_updates_that_may_be_for_security_are_not_counted_as_none(
    baked: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((replace(TZDATA, security=None),))))
    assert baked("refresh", "web").out.splitlines()[1].split() == ["web", "1.0.0", "1", "?", "0"]


def test_a_refresh_of_one_image_keeps_those_of_others(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((OPENSSL,))))
    baked("refresh")
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade()))
    document = json.loads(baked("refresh", "web", "--json").out)
    assert (document["schema"], document["number"]) == ("bakery/observations/1", 1)
    assert [len(one["upgrade"]["updates"]) for one in document["observations"]] == [1, 0]


def test_a_failure_is_reported_and_the_others_are_kept(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(database: bytes, _: Archives) -> tuple[tuple[Archive, ...], Upgrade]:
        if database.startswith(b"packages of base"):
            raise BakeryError("the archive http://deb.debian.org/debian bookworm has expired", hint="use another")
        return (ARCHIVE,), Upgrade()

    answer(monkeypatch, observe)
    result = baked("refresh")
    assert (result.code, len(result.out.splitlines())) == (4, 2)
    assert "base: the archive http://deb.debian.org/debian bookworm has expired (use another)" in result.err
    assert [one.image for one in baked.catalog.newest_observations().observations] == ["web"]


def test_archives_out_of_reach_ask_to_try_again(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(*_: object) -> tuple[tuple[Archive, ...], Upgrade]:
        raise OutageError("the archive cannot be reached")

    answer(monkeypatch, observe)
    assert baked("refresh").code == 75
    assert baked.catalog.newest_observations().at == ""


def test_packages_that_are_unknown_have_no_updates_to_name(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    bakery.packages = {"web": {"openssl": "3.0.17-1"}}
    bakery.line("base")
    databases = answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade()))
    assert refresh_images(bakery.session(), None, 1).observations.observations == ()
    notes = [(event.subject, event.text) for event in bakery.events if event.stage == "refresh"]
    assert notes == [
        ("base 1.0.0", "unknown: its disk was not read"),
        ("web", "unknown: it has no complete version"),
        ("vulnerabilities", "unknown: BAKERY_VULNERABILITY_DATABASE names no database"),
    ]
    assert databases == []


def test_another_family_is_a_note(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(*_: object) -> tuple[tuple[Archive, ...], Upgrade]:
        raise UnknownPackagesError("updates are known for apt and dnf only")

    answer(monkeypatch, observe)
    result = baked("refresh")
    assert (result.code, result.out) == (0, "IMAGE  VERSION  UPDATES  SECURITY  HELD\n")
    assert "base 1.0.0: unknown: updates are known for apt and dnf only" in result.err


def test_equal_archives_are_not_solved_again(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the archives as they were, a version has the updates that it had; with others, apt is asked."""
    states = {ARCHIVE.identity: ARCHIVE}
    monkeypatch.setattr(Archives, "state_of", lambda _, identity: states.get(identity))
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((OPENSSL,))))
    before = refresh_images(baked.session(), None, 1).observations.observations
    databases = answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade()))
    after = refresh_images(baked.session(), None, 1).observations.observations
    assert databases == []
    assert [replace(one, at="") for one in after] == [replace(one, at="") for one in before]
    states[ARCHIVE.identity] = replace(ARCHIVE, sha256="c" * 64)
    refresh_images(baked.session(), None, 1)
    assert len(databases) == 2


def test_an_observation_is_of_one_version_alone(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((OPENSSL, TZDATA))))
    kept = refresh_images(baked.session(), ["web"], 1).observations
    (observation,) = kept.observations
    assert observation.security == (OPENSSL,)
    newer = Observation("web", "x86_64", "1.0.1", observation.at, (), Upgrade())
    assert kept.merge([newer]) == (newer,)


def test_a_run_after_a_refresh_bakes_a_new_version(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its inputs are those of the version before, which must not make it that version."""
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((OPENSSL,))))
    baked("refresh", "web")
    planned = " ".join(baked("plan").out.split())
    assert "web bake 1.0.0 -> 1.0.1 1 package has an update, 1 for security: openssl" in planned
    baked.content["web"] = "the disk with the update"
    (record,) = baked.line()
    assert (record.image, record.version, record.state) == ("web", "1.0.1", "complete")
    assert record.input_key == baked.catalog.records("web", "x86_64")[0].input_key
    assert baked.did == ["bake web", "verify web", "publish web"]
    assert baked.line() == []
    assert "web    keep    1.0.1    inputs unchanged; not refreshed\n" in baked("plan").out


@pytest.fixture
def unpublished(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """An update was due an hour ago; 1.0.1 of `web` has it and failed its tests."""
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((OPENSSL,))))
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    with monkeypatch.context() as earlier:
        earlier.setattr(refresh, "now", lambda: an_hour_ago)
        earlier.setattr("bakery.catalog.reservations.now", lambda: an_hour_ago)
        baked("refresh", "web")
        baked.content["web"] = "the disk with openssl"
        baked.failing_checks = {"web"}
        assert baked("run", "web").code == 1
    assert baked.states("web") == {"1.0.0": "complete", "1.0.1": "reserved"}
    baked.failing_checks.clear()
    return baked


def test_an_unpublished_version_without_newer_updates_is_taken_up(
    unpublished: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another look at archives that moved on and have the same updates is no reason for another disk."""
    answer(monkeypatch, lambda *_: ((replace(ARCHIVE, sha256="c" * 64),), Upgrade((OPENSSL,))))
    unpublished("refresh", "web")
    (record,) = unpublished.line("web")
    assert (record.version, unpublished.did) == ("1.0.1", ["verify web", "publish web"])


def test_an_unpublished_version_that_lacks_newer_updates_is_baked_anew(
    unpublished: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade((OPENSSL, TZDATA))))
    unpublished("refresh", "web")
    unpublished.content["web"] = "the disk with openssl and tzdata"
    (record,) = unpublished.line("web")
    assert unpublished.did == ["bake web", "verify web", "publish web"]
    assert unpublished.states("web") == {"1.0.0": "complete", "1.0.1": "reserved", "1.0.2": "complete"}
    disk = unpublished.folder("web", "1.0.2") / "disk.qcow2"
    assert (record.version, disk.read_text()) == ("1.0.2", "the disk with openssl and tzdata")
    assert unpublished.line("web") == []


def test_plan_says_that_a_refresh_is_old(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, lambda *_: ((ARCHIVE,), Upgrade()))
    monkeypatch.setattr(refresh, "now", lambda: (datetime.now(UTC) - timedelta(hours=30)).isoformat())
    baked("refresh")
    assert baked("plan", "web").out.count("not refreshed since 20") == 2
    assert baked("plan", "web", "--max-age", "48").out.count("inputs unchanged; no updates") == 2
