"""Entries of definitions that dnf is asked for, and its answer."""

import pytest

from bakery.refresh.dnf.missing import RESOLVED, parse_unmatched

ANSWER = """\
Last metadata expiration check: 0:00:01 ago on Sat Jan 31 12:00:00 2026.
No match for argument: ngnix
All matches were filtered out by exclude filtering for argument: kernel-rt
No match for argument: perl(Gone)
Error: Unable to find a match: ngnix kernel-rt perl(Gone)
"""


def test_packages_that_the_image_excludes_are_not_missing() -> None:
    assert parse_unmatched(ANSWER.splitlines()) == {"ngnix", "perl(Gone)"}


@pytest.mark.parametrize(
    ("entry", "resolved"),
    [
        ("NetworkManager", True),
        ("nginx-1:1.24.0-1.el9.x86_64", True),
        ("python3.*-pip", True),
        ("@development-tools", False),
        ("@nginx:1.24/common", False),
        ("/usr/bin/vim", False),
        ("https://example.org/a.rpm", False),
        ("local.rpm", False),
        ("vim,nano", False),
        ("-y", False),
    ],
)
def test_only_what_has_one_meaning_is_resolved(entry: str, resolved: bool) -> None:
    assert bool(RESOLVED.fullmatch(entry)) == resolved
