"""The error of all readers of contents."""

from bakery.host.errors import BakeryError


class UnreadableError(BakeryError):
    """A system has no file system or no package database that can be read here."""
