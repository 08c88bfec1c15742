"""Matches a bill of materials against a vulnerability database, with grype."""

import json
import re
from pathlib import Path
from typing import Any, cast

from bakery.host import process
from bakery.model.documents import SEVERITIES, Severity
from bakery.model.vulnerabilities import Vulnerability
from bakery.vulnerabilities.database import Database, UnknownVulnerabilitiesError

# In place of the user's own settings, which may ignore vulnerabilities.
SETTINGS = {"check-for-app-update": False, "db": {"auto-update": False}}
# Debian builds signed kernels from separate source packages, which its security tracker does not list.
SIGNED_KERNEL = re.compile(r"linux-signed-(amd64|arm64|i386)")
SOURCE, SOURCE_VERSION = "syft:metadata:source", "syft:metadata:sourceVersion"
SECONDS = 600.0  # a system of 400 MB takes a few seconds


def match_packages(database: Database, sbom: bytes, scratch: Path) -> tuple[Vulnerability, ...]:
    """The known vulnerabilities of the packages in a CycloneDX document, sorted.

    UnknownVulnerabilitiesError if grype cannot tell the distribution or has no data of it, so that it would find none.
    """
    document, settings, report = scratch / "sbom.cdx.json", scratch / "grype.yaml", scratch / "grype.json"
    document.write_bytes(_name_kernel_source(sbom))
    settings.write_text(json.dumps(SETTINGS))
    process.run(
        [database.grype, f"sbom:{document}", "--config", settings, "--output", "json", "--file", report, "--quiet"],
        env=database.variables,
        timeout=SECONDS,
    )
    answer = json.loads(report.read_bytes())
    name, version = answer["distro"]["name"], answer["distro"]["version"]
    if not name:
        raise UnknownVulnerabilitiesError("grype does not know the distribution of the packages")
    if not database.knows(name, version):
        raise UnknownVulnerabilitiesError(f"the vulnerability database has no data on {name} {version}")
    return tuple(sorted({_read_match(match) for match in answer["matches"]}))


def _name_kernel_source(sbom: bytes) -> bytes:
    """The document with `linux` as the source package of signed kernels, in the version of the package itself."""
    document = json.loads(sbom)
    for component in document.get("components", ()):
        properties = {one["name"]: one["value"] for one in component.get("properties", ())}
        if SIGNED_KERNEL.fullmatch(properties.get(SOURCE, "")):
            properties_of_linux = {**properties, SOURCE: "linux"}
            properties_of_linux.pop(SOURCE_VERSION, None)
            component["properties"] = [{"name": name, "value": value} for name, value in properties_of_linux.items()]
    return json.dumps(document).encode()


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
