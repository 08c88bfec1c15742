"""Verify that a disk is clean, boots and passes its tests."""

from bakery.verify.expected import expect_checks, find_gaps
from bakery.verify.verify import verify

__all__ = ["expect_checks", "find_gaps", "verify"]
