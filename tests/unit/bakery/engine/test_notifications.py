"""Notices of what happens to images, from the verbs to a subscriber of a topic."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bakery.engine import channels, notices, refresh
from bakery.engine.notifications import LONGEST, VARIABLE, Notifier, make_notice
from bakery.host.errors import OutageError
from bakery.host.events import Event
from bakery.host.parallel import Outcome
from bakery.host.vault import Vault
from bakery.model.documents import DatabaseState, Severity, VulnerabilitySummary, dump
from bakery.model.observations import Upgrade
from bakery.model.version import ImageVersion
from bakery.model.vulnerabilities import Vulnerability, VulnerabilityObservation, VulnerabilityReport
from doubles.aws.client import StandIn, point_environment
from doubles.chat import Chat, chat
from unit.bakery.cli.cli_runner import CliRunner


@pytest.fixture
def arn(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic that the environment names."""
    aws_server.reset()
    point_environment(aws_server, monkeypatch)
    topic: str = aws_server.client("sns").create_topic(Name="images")["TopicArn"]
    monkeypatch.setenv(VARIABLE, topic)
    return topic


@pytest.fixture
def subscriber(aws_server: StandIn, arn: str) -> Iterator[Chat]:
    with chat() as tool:
        aws_server.client("sns").subscribe(TopicArn=arn, Protocol="http", Endpoint=tool.address)
        yield tool


def published(subscriber: Chat) -> list[dict[str, Any]]:
    """The notices that arrived."""
    return [json.loads(message["Message"]) for message in subscriber.messages]


def titles(subscriber: Chat) -> list[tuple[str, str]]:
    return [(notice["kind"], notice["text"].partition("\n")[0]) for notice in published(subscriber)]


def test_what_people_do_is_told_with_author_and_reason(bakery: CliRunner, subscriber: Chat) -> None:
    for before, after in (
        ("web", "web"),
        ("nginx_message: hello", "nginx_message: one"),
        ("message: one", "message: two"),
    ):
        bakery.edit("web", before, after)
        bakery.line()
    subscriber.bodies.clear()
    why = ("--reason", "leaks")
    for call in (
        ("retire", "web@1.0.0", "--to", "deprecated", "--yes", *why),
        ("restore", "web", "1.0.0", *why),
        ("rollback", "web", "stable", *why),
        ("channel", "release", "web", "stable", *why),
        ("promote", "web", "1.0.2", "stable", *why),
        ("promote", "web", "1.0.2", "stable", *why),  # is there already
        ("promote", "web", "1.0.9", "stable", *why),  # fails, and says nothing
        ("revoke", "web", "1.0.2", "--yes", *why),
        ("channel", "delete", "web", "stable", "--yes", *why),
    ):
        bakery(*call)
    assert titles(subscriber) == [
        ("retired", "web 1.0.0 is deprecated"),
        ("restored", "web 1.0.0 is complete again"),
        ("moved", "web stable: 1.0.2 -> 1.0.1, held"),
        ("moved", "web stable: 1.0.1 -> 1.0.1"),
        ("moved", "web stable: 1.0.1 -> 1.0.2"),
        ("moved", "web stable: 1.0.2 -> 1.0.1"),
        ("revoked", "web 1.0.2 is revoked"),
        ("moved", "web stable: 1.0.1 -> deleted"),
    ]
    assert all("leaks" in notice["details"][0] and "@" in notice["details"][1] for notice in published(subscriber))


def test_a_repair_names_the_differences(bakery: CliRunner, subscriber: Chat) -> None:
    bakery.line()
    link = bakery.project.store / "web-stable-x86_64.qcow2"
    link.unlink()
    subscriber.bodies.clear()
    bakery("audit")
    assert titles(subscriber) == []
    bakery("audit", "--fix")
    assert titles(subscriber) == [("repaired", "web: 1 difference from the catalog repaired")]
    assert published(subscriber)[0]["details"] == ["web stable local local: missing: expected web-1.0.0-x86_64.qcow2"]


def test_a_patched_image_names_its_packages_once(bakery: CliRunner, subscriber: Chat) -> None:
    bakery.packages["web"] = {"openssl": "3.0.17-1", "zlib1g": "1"}
    bakery.line()
    assert titles(subscriber) == [
        ("patched", "base 1.0.0 is published"),
        ("patched", "web 1.0.0 is published, and stable points at it"),
    ]
    bakery.packages["web"] = {"openssl": "3.0.18-1", "zlib1g": "1"}
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    assert bakery("run", "web").code == 0
    assert bakery("publish", "web").code == 0  # changes nothing, so nobody hears of it
    (*_, notice) = published(subscriber)
    assert len(subscriber.bodies) == 3
    assert notice == {
        "kind": "patched",
        "image": "web",
        "arch": "x86_64",
        "version": "1.0.1",
        "text": (
            "web 1.0.1 is published, and stable points at it\n"
            "1 package changed since 1.0.0\nopenssl 3.0.17-1 -> 3.0.18-1"
        ),
        "details": ["1 package changed since 1.0.0", "openssl 3.0.17-1 -> 3.0.18-1"],
        "schema": "bakery/notice/1",
    }


def test_a_version_is_announced_though_it_cannot_be_compared(bakery: CliRunner, subscriber: Chat) -> None:
    bakery.packages["web"] = {"openssl": "3.0.17-1"}
    bakery.line()
    (kept,) = (bakery.project.workspace / "catalog/images/web").rglob("files-*.json.gz")
    kept.write_text("changed")
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    assert bakery("run", "web").code == 0
    assert titles(subscriber)[-1] == ("patched", "web 1.0.1 is published, and stable points at it")
    (detail,) = published(subscriber)[-1]["details"]
    assert detail.startswith("the changes since 1.0.0 are unknown: the file does not have the digest")


def test_an_interrupted_publish_is_told_by_the_one_that_moves_the_channel(
    bakery: CliRunner, subscriber: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    bakery.line("base")
    with monkeypatch.context() as patch:
        patch.setattr(channels, "follow", lambda *_: 1 / 0)
        assert bakery("run", "web").code == 3
    assert bakery.states("web") == {"1.0.0": "complete"}
    assert bakery("publish", "web").code == 0
    assert titles(subscriber)[1:] == [("patched", "web 1.0.0 is published, and stable points at it")]


def test_a_failure_pauses_once(bakery: CliRunner, subscriber: Chat) -> None:
    bakery.edit("base", "tests: [base]", "tests: [base]\nmax_failures: 2")
    bakery.failing_checks = {"base"}
    for _ in range(3):
        assert bakery("run", "base").code == 1
    assert bakery("run", "base", "--rebuild").code == 1
    assert [kind for kind, _ in titles(subscriber)] == ["failed", "failed", "paused", "failed"]
    assert titles(subscriber)[1:3] == [
        ("failed", "base: verify failed: base 1.0.0 failed 1 of 2 checks"),
        ("paused", "base is paused after 2 failures with the same inputs"),
    ]


def test_what_says_nothing_about_the_image_is_no_notice(bakery: CliRunner, subscriber: Chat) -> None:
    assert bakery("publish", "base").code == 1
    assert published(subscriber) == []


def test_what_stops_a_run_before_it_begins(bakery: CliRunner, subscriber: Chat) -> None:
    """A notice for each image whose definition is wrong, and one for all else, whatever the number of images."""
    bakery.edit("base", "tests: [base]", "tests: [none]\nmax_failures: 2")
    bakery.broken = {"syft"}
    for _ in range(2):
        assert bakery("run").code == 64
    nothing = ("stopped", "nothing was begun for base, web: syft is not on PATH")
    failed = ("failed", "base: check failed: no test named 'none'")
    paused = ("paused", "base is paused after 2 failures with the same inputs")
    assert titles(subscriber) == [failed, nothing, failed, paused, nothing]
    assert published(subscriber)[1] == {
        "kind": "stopped",
        "image": "*",
        "arch": "",
        "version": "",
        "text": f"{nothing[1]}\nsyft is not on PATH (run 'make setup')\n  needed by base, web",
        "details": ["syft is not on PATH (run 'make setup')", "  needed by base, web"],
        "schema": "bakery/notice/1",
    }


def test_a_run_that_an_outage_stops_is_no_notice(
    bakery: CliRunner, subscriber: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OutageError("Vault is sealed")

    bakery.edit("web", "tests: [base]", "secrets: {page: {path: secret/data/web, key: page}}\ntests: [base]")
    monkeypatch.setattr(Vault, "login", fail)
    assert bakery("run").code == 75
    assert published(subscriber) == []


DATABASE = DatabaseState("https://mirror.example/databases", "2026-11-28T06:00:00Z", "xxh64:0123")
ZLIB = Vulnerability("CVE-2023-45853", "zlib1g", "1", "", "critical", "pkg:deb/debian/zlib1g@1")
OPENSSL = Vulnerability("CVE-2026-0001", "openssl", "3.0.17-1", "3.0.18-1", "critical", "pkg:deb/debian/openssl@3")
HIGH = replace(ZLIB, id="CVE-2026-0002", severity="high")


def observe(bakery: CliRunner, version: str, *vulnerabilities: Vulnerability) -> VulnerabilityObservation:
    """What grype would have found in a version of `web`."""
    report = VulnerabilityReport("web", "x86_64", version, "a" * 64, tuple(sorted(vulnerabilities)))
    digest = digest_of(report)
    bakery.catalog.keep_vulnerabilities(report, digest)
    counts: dict[Severity, int] = {"critical": sum(one.severity == "critical" for one in vulnerabilities)}
    summary = VulnerabilitySummary(DATABASE, "a" * 64, digest, counts)
    return VulnerabilityObservation("web", "x86_64", version, "2026-11-29T00:00:00+00:00", summary)


def digest_of(report: VulnerabilityReport) -> str:
    return hashlib.sha256(dump(report)).hexdigest()


@pytest.fixture
def published_twice(bakery: CliRunner, subscriber: Chat) -> CliRunner:
    """Versions 1.0.0 and 1.0.1 of `web`, and a subscriber who has not heard of them."""
    bakery.packages["web"] = {"openssl": "3.0.17-1"}
    bakery.line()
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    bakery.line("web")
    subscriber.bodies.clear()
    return bakery


def refresh_with(bakery: CliRunner, *matches: VulnerabilityObservation) -> None:
    """A refresh whose database gave these answers."""
    outcomes = [Outcome(f"{match.image} {match.version}", match, None) for match in matches]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refresh, "observe_updates", lambda *_: ((), Upgrade()))
        patch.setattr(refresh, "observe_vulnerabilities", lambda *_: outcomes)
        assert bakery("refresh", "web").code == 0


def test_only_new_critical_vulnerabilities_are_told(published_twice: CliRunner, subscriber: Chat) -> None:
    bakery = published_twice
    refresh_with(bakery, observe(bakery, "1.0.1", HIGH))
    assert published(subscriber) == []
    refresh_with(bakery, observe(bakery, "1.0.1", HIGH, ZLIB))
    refresh_with(bakery, observe(bakery, "1.0.1", HIGH, ZLIB))
    refresh_with(bakery, observe(bakery, "1.0.1", ZLIB, OPENSSL), observe(bakery, "1.0.0", ZLIB))
    refresh_with(bakery, observe(bakery, "1.0.1"), observe(bakery, "1.0.0", ZLIB))
    assert [(notice["version"], notice["text"]) for notice in published(subscriber)] == [
        ("1.0.1", "web 1.0.1 has a new critical vulnerability\nCVE-2023-45853 in zlib1g 1, no fix is known"),
        (
            "1.0.1",
            "web 1.0.1 has a new critical vulnerability\nCVE-2026-0001 in openssl 3.0.17-1, fixed in 3.0.18-1",
        ),
    ]


def test_a_patched_image_names_what_is_fixed(published_twice: CliRunner, subscriber: Chat) -> None:
    bakery = published_twice
    new = bakery.catalog.record(ImageVersion("web", "x86_64", "1.0.1"))
    refresh_with(bakery, observe(bakery, "1.0.0", ZLIB, OPENSSL))
    subscriber.bodies.clear()
    matched = replace(new, vulnerabilities=observe(bakery, "1.0.1", ZLIB, HIGH).summary)
    notices.announce_version(bakery.session(), matched, "stable")
    assert published(subscriber)[0]["details"][:2] == ["fixed: CVE-2026-0001", "introduced: CVE-2026-0002"]


def test_thousands_of_vulnerabilities_fit_into_a_message(published_twice: CliRunner, subscriber: Chat) -> None:
    """A topic refuses more than 256 KB, and so does the stand-in."""
    bakery = published_twice
    many = [replace(ZLIB, id=f"CVE-2026-{number}", package=f"linux-{number}") for number in range(10_000, 20_000)]
    packages = [replace(one, id=f"CVE-2025-{name}") for name in range(1000, 1100) for one in many[:300]]
    refresh_with(bakery, observe(bakery, "1.0.1", *packages))
    refresh_with(bakery, observe(bakery, "1.0.0", *many))
    new = bakery.catalog.record(ImageVersion("web", "x86_64", "1.0.1"))
    matched = replace(new, vulnerabilities=observe(bakery, "1.0.1").summary)
    notices.announce_version(bakery.session(), matched, "stable")
    vulnerable, _, patched = (notice["details"] for notice in published(subscriber))
    assert vulnerable[0].endswith("linux-10009 1 and 290 more, no fix is known")
    assert vulnerable[-1] == "and 60 more: see 'bakery status web --json'"
    assert patched[0].endswith(", CVE-2026-10009 and 9990 more")
    assert notes(bakery.events) == []


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.stage == "notify"]


@pytest.mark.parametrize(
    ("recipients", "reason"),
    [
        ("arn:aws:sns:eu-central-1:123456789012:nothing", "cannot publish to the topic"),
        ("https://hooks.example.com/hidden", "contains the address of a webhook, which is a secret"),
        ("images", "a part of BAKERY_NOTIFY is neither the ARN of a topic nor a path in Vault"),
        ("arn:aws:sns:eu-central-1:1234:images", "is neither the ARN of a topic"),
    ],
)
def test_a_recipient_that_does_not_work_costs_one_note_and_no_image(
    bakery: CliRunner, arn: str, monkeypatch: pytest.MonkeyPatch, recipients: str, reason: str
) -> None:
    monkeypatch.setenv(VARIABLE, recipients)
    assert len(bakery.line()) == 2
    [note] = notes(bakery.events)
    assert reason in note
    assert "hidden" not in note


def test_a_broken_recipient_stops_no_other(
    bakery: CliRunner, arn: str, subscriber: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"nowhere {arn}")
    bakery.line()
    assert [kind for kind, _ in titles(subscriber)] == ["patched", "patched"]
    assert len(notes(bakery.events)) == 1


def test_nothing_is_sent_without_the_variable(
    bakery: CliRunner, subscriber: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    bakery.line()
    assert (subscriber.bodies, notes(bakery.events)) == ([], [])
    assert not Notifier("")


def test_a_long_notice_is_cut() -> None:
    lines = tuple(map(str, range(LONGEST + 5)))
    notice = make_notice("patched", "web", "x86_64", "1.0.0", "title", lines, "bakery compare web@1.0.0")
    assert (len(notice.details), notice.details[-1]) == (LONGEST + 1, "and 5 more: see 'bakery compare web@1.0.0'")
    assert notice.text.splitlines() == ["title", *notice.details]
