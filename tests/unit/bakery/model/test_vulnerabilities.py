"""How vulnerabilities are counted."""

from bakery.model.vulnerabilities import Vulnerability, count_identifiers

OPENSSL = Vulnerability("CVE-2025-9230", "openssl", "3.0.17-1", "3.0.17-2", "high", "pkg:deb/debian/openssl@3.0.17-1")
LIBSSL = Vulnerability("CVE-2025-9230", "libssl3", "3.0.17-1", "3.0.17-2", "high", "pkg:deb/debian/libssl3@3.0.17-1")
NODEJS = Vulnerability("CVE-2025-9230", "nodejs", "18", "", "low", "pkg:deb/debian/nodejs@18")
TAR = Vulnerability("CVE-2005-2541", "tar", "1.34", "", "negligible", "pkg:deb/debian/tar@1.34")


def test_a_vulnerability_of_several_packages_counts_once_and_by_the_worst() -> None:
    assert count_identifiers((NODEJS, OPENSSL, LIBSSL, TAR)) == {"high": 1, "negligible": 1}
    assert count_identifiers(()) == {}
