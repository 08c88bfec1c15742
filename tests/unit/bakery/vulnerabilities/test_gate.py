"""What a gate lets pass, and what its exceptions become."""

import json
from datetime import date

import pytest
from pydantic import ValidationError

from bakery.model.documents import Artifact, Check
from bakery.model.gate import VulnerabilityGate
from bakery.model.vulnerabilities import Vulnerability
from bakery.vulnerabilities import judge_vulnerabilities, list_ignored, write_vex

PURL = "pkg:deb/debian/{}?arch=amd64&distro=debian-12"
OPENSSL = Vulnerability("CVE-2025-9230", "openssl", "3.0.17-1", "3.0.17-2", "high", PURL.format("openssl@3.0.17-1"))
LIBSSL = Vulnerability("CVE-2025-9230", "libssl3", "3.0.17-1", "3.0.17-2", "high", PURL.format("libssl3@3.0.17-1"))
ZLIB = Vulnerability("CVE-2023-45853", "zlib1g", "1:1.2.13", "", "critical", PURL.format("zlib1g@1%3A1.2.13"))
TAR = Vulnerability("CVE-2005-2541", "tar", "1.34", "", "negligible", PURL.format("tar@1.34"))
ALL = (OPENSSL, LIBSSL, ZLIB, TAR)
TODAY = date(2026, 6, 1)


def gate(**keys: object) -> VulnerabilityGate:
    """A gate as YAML gives it."""
    return VulnerabilityGate.model_validate_json(json.dumps({"fail_on": "high", **keys}))


def exception(name: str, until: str = "2026-06-01") -> dict[str, str]:
    return {"id": name, "reason": "not reachable", "until": until}


def judge(rules: VulnerabilityGate) -> list[Check]:
    return judge_vulnerabilities(rules, ALL, TODAY, lambda *keys: f"web.yaml:{keys}")


def test_what_is_as_severe_or_more_fails() -> None:
    (check,) = judge(gate())
    assert check == Check(
        "no known vulnerabilities",
        False,
        "CVE-2023-45853 (critical): zlib1g 1:1.2.13, no fix\n"
        "CVE-2025-9230 (high): libssl3 3.0.17-1, fixed in 3.0.17-2\n"
        "CVE-2025-9230 (high): openssl 3.0.17-1, fixed in 3.0.17-2",
    )
    (check,) = judge(gate(fail_on="critical"))
    assert check.detail == "CVE-2023-45853 (critical): zlib1g 1:1.2.13, no fix"


def test_what_nothing_fixes_may_pass() -> None:
    (check,) = judge(gate(only_fixed=True))
    assert "CVE-2023-45853" not in check.detail
    assert "CVE-2025-9230" in check.detail


def test_an_exception_holds_until_its_last_day() -> None:
    checks = judge(gate(ignore=[exception("CVE-2025-9230"), exception("CVE-2023-45853")]))
    assert [check.passed for check in checks] == [True, True]


def test_an_expired_exception_fails_and_ignores_nothing() -> None:
    rules = gate(ignore=[exception("CVE-2023-45853"), exception("CVE-2025-9230", "2026-05-31")])
    found, expired = judge(rules)
    assert [line.split()[0] for line in found.detail.splitlines()] == ["CVE-2025-9230", "CVE-2025-9230"]
    assert expired == Check(
        "no expired exception",
        False,
        "web.yaml:('vulnerabilities', 'ignore', 1): CVE-2025-9230 was ignored until 2026-05-31: not reachable",
    )
    assert list_ignored(rules, ALL, TODAY) == {"CVE-2023-45853": [ZLIB]}


def test_an_expired_exception_fails_although_its_vulnerability_is_gone() -> None:
    assert [check.passed for check in judge(gate(fail_on="critical", ignore=[exception("CVE-2020-1", "2026-01-01")]))][
        1
    ] is False


@pytest.mark.parametrize("until", ["2026-13-01", "soon", ""])
def test_the_last_day_is_a_date(until: str) -> None:
    with pytest.raises(ValidationError):
        gate(ignore=[exception("CVE-2025-9230", until)])


def test_one_exception_for_a_vulnerability() -> None:
    with pytest.raises(ValidationError, match="CVE-2025-9230 is listed twice"):
        gate(ignore=[exception("CVE-2025-9230"), exception("CVE-2025-9230")])


def test_openvex_names_disk_packages_and_reason(artifact: Artifact) -> None:
    rules = gate(ignore=[exception("CVE-2025-9230"), exception("CVE-2020-1")])
    ignored = list_ignored(rules, ALL, TODAY)
    document = json.loads(write_vex(rules, ignored, artifact, "https://gitlab.example/jobs/1", "2026-06-01T00:00:00Z"))
    (statement,) = document["statements"]
    assert statement["vulnerability"] == {"name": "CVE-2025-9230"}
    assert (statement["status"], statement["action_statement"]) == (
        "affected",
        "Accepted until 2026-06-01: not reachable",
    )
    (product,) = statement["products"]
    assert product["hashes"] == {"sha-256": artifact.disk.sha256}
    assert [part["@id"] for part in product["subcomponents"]] == [LIBSSL.purl, OPENSSL.purl]
