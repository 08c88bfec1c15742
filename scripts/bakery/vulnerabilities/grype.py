"""Matches a bill of materials against a vulnerability database, with grype."""

import json
from pathlib import Path
from typing import Any, cast

from bakery.host import process
from bakery.model.documents import SEVERITIES, Severity
from bakery.model.vulnerabilities import Vulnerability
from bakery.vulnerabilities.database import Database, UnknownVulnerabilitiesError

# In place of the user's own settings, which may ignore vulnerabilities.
SETTINGS = {"check-for-app-update": False, "db": {"auto-update": False}}
SECONDS = 600.0  # a system of 400 MB takes a few seconds


def match_packages(database: Database, sbom: bytes, scratch: Path) -> tuple[Vulnerability, ...]:
    """The known vulnerabilities of the packages in a CycloneDX document, sorted.

    UnknownVulnerabilitiesError if grype cannot tell the distribution, so that it would find none.
    """
    document, settings, report = scratch / "sbom.cdx.json", scratch / "grype.yaml", scratch / "grype.json"
    document.write_bytes(sbom)
    settings.write_text(json.dumps(SETTINGS))
    process.run(
        [database.grype, f"sbom:{document}", "--config", settings, "--output", "json", "--file", report, "--quiet"],
        env=database.variables,
        timeout=SECONDS,
    )
    answer = json.loads(report.read_bytes())
    if not answer["distro"]["name"]:
        raise UnknownVulnerabilitiesError("grype does not know the distribution of the packages")
    return tuple(sorted({_read_match(match) for match in answer["matches"]}))


def _read_match(match: dict[str, Any]) -> Vulnerability:
    vulnerability, package = match["vulnerability"], match["artifact"]
    fix = vulnerability["fix"]
    severity = vulnerability["severity"].lower()
    return Vulnerability(
        id=vulnerability["id"],
        package=package["name"],
        installed=package["version"],
        fixed=", ".join(fix["versions"]) if fix["state"] == "fixed" else "",
        severity=cast(Severity, severity) if severity in SEVERITIES else "unknown",
        purl=package["purl"],
    )
