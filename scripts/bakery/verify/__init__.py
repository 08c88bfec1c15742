"""Verify that a disk is clean, boots and passes its tests."""

from bakery.verify.exemptions import check_exemptions
from bakery.verify.expected import expect_checks, expect_content, find_gaps
from bakery.verify.used_secrets import read_used_secrets
from bakery.verify.verify import check_content, verify

__all__ = [
    "check_content",
    "check_exemptions",
    "expect_checks",
    "expect_content",
    "find_gaps",
    "read_used_secrets",
    "verify",
]
