"""Known vulnerabilities of the packages of a version, as `vulnerabilities.json`, and what is kept of them elsewhere."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bakery.model.documents import SEVERITIES, DatabaseState, Severity, Strict, Time, VulnerabilitySummary


@dataclass(frozen=True, order=True)
class Vulnerability(Strict):
    """A known vulnerability of one installed package; `fixed` is empty where no version has a fix.

    `purl` is the address of the package, as the bill of materials has it.
    """

    id: str
    package: str
    installed: str
    fixed: str
    severity: Severity
    purl: str


@dataclass(frozen=True)
class VulnerabilityReport(Strict):
    """The vulnerabilities of the packages in the bill of materials with the digest `sbom`, sorted.

    It has neither time nor database, so equal answers give equal documents.
    """

    image: str
    arch: str
    version: str
    sbom: str
    vulnerabilities: tuple[Vulnerability, ...]
    schema: Literal["bakery/vulnerabilities/1"] = "bakery/vulnerabilities/1"


@dataclass(frozen=True)
class VulnerabilityObservation(Strict):
    """The answer of the database of a refresh for a version at the time `at`, in ISO 8601."""

    image: str
    arch: str
    version: str
    at: Time
    summary: VulnerabilitySummary


@dataclass(frozen=True)
class VulnerabilityChanges(Strict):
    """The identifiers that only one of two versions has, by one database: each with its worst severity."""

    database: DatabaseState
    fixed: dict[str, Severity]
    introduced: dict[str, Severity]


def compare_vulnerabilities(
    database: DatabaseState, before: Iterable[Vulnerability], after: Iterable[Vulnerability]
) -> VulnerabilityChanges:
    """The changes from one version to another, sorted by identifier."""
    old, new = _worst_severities(before), _worst_severities(after)
    return VulnerabilityChanges(
        database,
        fixed={name: old[name] for name in sorted(old.keys() - new.keys())},
        introduced={name: new[name] for name in sorted(new.keys() - old.keys())},
    )


def count_identifiers(vulnerabilities: Iterable[Vulnerability]) -> dict[Severity, int]:
    """Identifiers by severity, the worst first: each counts once, by its worst severity, in however many packages."""
    counts = Counter(_worst_severities(vulnerabilities).values())
    return {severity: counts[severity] for severity in reversed(SEVERITIES) if counts[severity]}


def _worst_severities(vulnerabilities: Iterable[Vulnerability]) -> dict[str, Severity]:
    worst: dict[str, Severity] = {}
    for one in vulnerabilities:
        worst[one.id] = max(worst.get(one.id, "unknown"), one.severity, key=SEVERITIES.index)
    return worst
