"""See which known vulnerabilities the packages of a version have, from its bill of materials."""

from bakery.vulnerabilities.database import VARIABLE, Database, UnknownVulnerabilitiesError, open_database
from bakery.vulnerabilities.grype import match_packages

__all__ = ["VARIABLE", "Database", "UnknownVulnerabilitiesError", "match_packages", "open_database"]
