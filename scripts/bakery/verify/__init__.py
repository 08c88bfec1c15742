"""Verify that a disk is clean, boots and passes its tests."""

from bakery.verify.exemptions import check_exemptions
from bakery.verify.expected import expect_checks, find_gaps
from bakery.verify.used_secrets import read_used_secrets
from bakery.verify.verify import verify

__all__ = ["check_exemptions", "expect_checks", "find_gaps", "read_used_secrets", "verify"]
