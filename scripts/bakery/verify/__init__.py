"""Verify that a disk is clean, boots and passes its tests."""

from bakery.verify.verify import verify

__all__ = ["verify"]
