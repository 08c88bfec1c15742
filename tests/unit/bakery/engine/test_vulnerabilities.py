"""Vulnerabilities in observations, status and the gate of a bake, as far as no grype is needed."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bakery.cli.status import render
from bakery.engine import refresh
from bakery.engine.status import describe_images
from bakery.engine.updates import MAX_AGE
from bakery.model.documents import DatabaseState, Severity, Verdict, VulnerabilitySummary, load
from bakery.model.observations import Upgrade
from bakery.model.vulnerabilities import Vulnerability, VulnerabilityObservation, VulnerabilityReport
from bakery.vulnerabilities import VARIABLE
from doubles.programs import Programs
from unit.bakery.cli.cli_runner import CliRunner

DATABASE = DatabaseState("https://mirror.example/databases", "2026-11-28T06:00:00Z", "xxh64:0123")
GATE = "tests: [base]\nvulnerabilities:\n  fail_on: high\n"
ZLIB = Vulnerability("CVE-2023-45853", "zlib1g", "1:1.2.13", "", "critical", "pkg:deb/debian/zlib1g@1%3A1.2.13")


def observation(image: str, version: str, counts: dict[Severity, int], hours: int = 1) -> VulnerabilityObservation:
    at = (datetime.now(UTC) - timedelta(hours=hours, minutes=1)).isoformat(timespec="seconds")
    summary = VulnerabilitySummary(DATABASE, "a" * 64, "b" * 64, counts)
    return VulnerabilityObservation(image, "x86_64", version, at, summary)


def column(bakery: CliRunner) -> dict[str, str]:
    """The cells of the column CVEs by image, in the order of the rows."""
    header, *rows = render(describe_images(bakery.session(), None, MAX_AGE)).splitlines()
    start, end = header.index("CVES"), header.index("CHANNELS BEHIND")
    return {row.split()[0]: row[start:end].strip() for row in rows}


def test_status_counts_the_worst_and_puts_it_first(bakery: CliRunner) -> None:
    bakery.line()
    assert column(bakery) == {"base": "unknown", "web": "unknown"}
    bakery.catalog.keep_observations([], [observation("web", "1.0.0", {"critical": 1, "high": 2, "low": 9})])
    assert list(column(bakery).items()) == [("web", "1/2"), ("base", "unknown")]
    bakery.catalog.keep_observations([], [observation("base", "1.0.0", {})])
    assert column(bakery) == {"web": "1/2", "base": "0/0"}


def test_status_calls_old_matches_old_and_those_of_another_version_unknown(bakery: CliRunner) -> None:
    bakery.line()
    bakery.catalog.keep_observations([], [observation("web", "1.0.0", {"high": 2}, hours=30)])
    bakery.catalog.keep_observations([], [observation("base", "0.9.0", {"high": 2})])
    assert column(bakery) == {"web": "0/2 (old)", "base": "unknown"}


def test_the_document_of_status_has_each_vulnerability(bakery: CliRunner) -> None:
    bakery.line("base")
    report = VulnerabilityReport("base", "x86_64", "1.0.0", "a" * 64, (ZLIB,))
    bakery.catalog.keep_vulnerabilities(report, "b" * 64)
    bakery.catalog.keep_observations([], [observation("base", "1.0.0", {"critical": 1})])
    # The digest is not that of the document, which must not be trusted then.
    assert "the file does not have the digest" in bakery("status", "base", "--json").err


def test_a_refresh_of_one_image_keeps_the_vulnerabilities_of_others(bakery: CliRunner) -> None:
    bakery.catalog.keep_observations([], [observation("web", "1.0.0", {}), observation("web", "1.0.1", {})])
    bakery.catalog.keep_observations([], [observation("base", "1.0.0", {})])
    bakery.catalog.keep_observations([], [observation("web", "1.0.2", {})])
    kept = bakery.catalog.newest_observations()
    assert [(one.image, one.version) for one in kept.vulnerabilities] == [("base", "1.0.0"), ("web", "1.0.2")]


def test_a_database_that_cannot_be_used_fails_a_refresh_and_keeps_the_updates(
    bakery: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bakery.line("base")
    Programs(tmp_path / "bin", monkeypatch).shell("grype")
    monkeypatch.setattr(refresh, "observe_updates", lambda *_: ((), Upgrade()))
    monkeypatch.setenv(VARIABLE, "nowhere.db")
    answer = bakery("refresh", "base")
    assert answer.code == 4
    assert "error: 1 of 2 tasks failed\n" in answer.err
    assert "vulnerabilities: nowhere.db: BAKERY_VULNERABILITY_DATABASE names no file, folder" in answer.err
    assert [one.image for one in bakery.catalog.newest_observations().observations] == ["base"]


def test_a_gate_without_a_database_fails(bakery: CliRunner) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bakery.edit("base", "tests: [base]\n", GATE)
    answer = bakery("run", "base")
    assert answer.code == 1
    assert "failed 1 of 3 checks" in answer.err
    assert "cannot be answered: no vulnerability database is named" in answer.err
    verdict = load(Verdict, bakery.folder("base", "1.0.0") / "verdict.json")
    assert (verdict.passed, verdict.vulnerabilities) == (False, None)
    assert bakery.states("base") == {"1.0.0": "reserved"}


def test_without_gate_and_database_a_version_has_no_vulnerabilities_on_record(bakery: CliRunner) -> None:
    (record,) = bakery.line("base")
    assert (record.vulnerabilities, record.vex) == (None, "")


def test_an_interrupted_run_asks_the_gate_again(bakery: CliRunner) -> None:
    """A disk that passed before its definition had a gate has not passed the gate."""
    bakery.broken = {"publish base"}
    bakery("run", "base")
    bakery.broken = set()
    bakery.edit("base", "tests: [base]\n", GATE)
    assert "cannot be answered" in bakery("run", "base").err


def test_a_gate_needs_a_bill_of_materials(bakery: CliRunner) -> None:
    bakery.edit("web", "os: debian-12", "os: windows-2022")
    bakery.edit("web", "tests: [base]\n", GATE)
    answer = bakery("validate", "web")
    assert answer.code == 64
    assert "vulnerabilities: no bill of materials is written for Windows" in answer.err


def test_a_gate_makes_no_image_due(bakery: CliRunner) -> None:
    bakery.line("base")
    bakery.edit("base", "tests: [base]\n", GATE)
    (action,) = json.loads(bakery("plan", "base", "--json").out)["actions"]
    assert action["kind"] == "keep"


def test_a_disk_that_was_tested_before_there_was_a_gate_is_not_published(bakery: CliRunner) -> None:
    bakery("bake", "base")
    bakery("verify", "base")
    bakery.edit("base", "tests: [base]\n", GATE)
    answer = bakery("publish", "base")
    assert answer.code == 1
    assert "was tested before its definition had a gate" in answer.err
    assert bakery.states("base") == {"1.0.0": "reserved"}


def test_show_has_the_vulnerabilities_of_the_bake_and_the_openvex_document(bakery: CliRunner) -> None:
    (record,) = bakery.line("base")
    assert "has no OpenVEX document" in bakery("show", "base", "--vex").err
    vex = b'{"@context": "https://openvex.dev/ns/v0.2.0"}\n'
    digest = hashlib.sha256(vex).hexdigest()
    bakery.catalog.keep_vex(record, vex, digest)
    summary = observation("base", "1.0.0", {"critical": 1, "low": 9}).summary
    bakery.catalog.revise(replace(record, vulnerabilities=summary, vex=digest))
    assert bakery("show", "base", "--vex").out == vex.decode()
    assert "at bake     CVEs: 1 critical, 9 low; database of 2026-11-28" in bakery("show", "base").out
