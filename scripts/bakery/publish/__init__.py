"""Publish: a verified artifact -> images at its targets, and channels that point at them."""

from bakery.publish.publish import publish, target

__all__ = ["publish", "target"]
