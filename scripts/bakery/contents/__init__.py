"""Read what is on a disk at rest: packages, kernels, boot files, bills of materials."""

from bakery.contents.disk import DATABASE, DOCUMENT, UnreadableError, read_disk, sbom_path

__all__ = ["DATABASE", "DOCUMENT", "UnreadableError", "read_disk", "sbom_path"]
