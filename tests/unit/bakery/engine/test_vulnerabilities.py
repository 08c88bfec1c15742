"""Vulnerabilities in observations and status, as far as no grype is needed."""

from datetime import UTC, datetime, timedelta

from bakery.cli.status import render
from bakery.engine.status import describe_images
from bakery.engine.updates import MAX_AGE
from bakery.model.documents import DatabaseState, Severity, VulnerabilitySummary
from bakery.model.vulnerabilities import Vulnerability, VulnerabilityObservation, VulnerabilityReport
from unit.bakery.cli.cli_runner import CliRunner

DATABASE = DatabaseState("https://mirror.example/databases", "2026-11-28T06:00:00Z", "xxh64:0123")
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
    assert "the bytes are not those" in bakery("status", "base", "--json").err


def test_a_refresh_of_one_image_keeps_the_vulnerabilities_of_others(bakery: CliRunner) -> None:
    bakery.catalog.keep_observations([], [observation("web", "1.0.0", {}), observation("web", "1.0.1", {})])
    bakery.catalog.keep_observations([], [observation("base", "1.0.0", {})])
    bakery.catalog.keep_observations([], [observation("web", "1.0.2", {})])
    kept = bakery.catalog.newest_observations()
    assert [(one.image, one.version) for one in kept.vulnerabilities] == [("base", "1.0.0"), ("web", "1.0.2")]
