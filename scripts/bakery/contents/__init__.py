"""Read what is on a disk at rest: packages, kernels, boot files."""

from bakery.contents.disk import DATABASE, DOCUMENT, UnreadableError, read_disk

__all__ = ["DATABASE", "DOCUMENT", "UnreadableError", "read_disk"]
