"""Verify: is the disk clean, and does it boot and pass its tests?"""

from bakery.verify.verify import verify

__all__ = ["verify"]
