"""Find the known vulnerabilities of a version's packages, from its bill of materials."""

from bakery.vulnerabilities.database import VARIABLE, Database, UnknownVulnerabilitiesError, open_database
from bakery.vulnerabilities.gate import CHECK, judge_vulnerabilities, list_ignored
from bakery.vulnerabilities.grype import match_packages
from bakery.vulnerabilities.vex import write_vex

__all__ = [
    "CHECK",
    "VARIABLE",
    "Database",
    "UnknownVulnerabilitiesError",
    "judge_vulnerabilities",
    "list_ignored",
    "match_packages",
    "open_database",
    "write_vex",
]
