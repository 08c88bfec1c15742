"""Read what is on a system at rest: packages, kernels, boot files, bills of materials."""

from bakery.contents.disk import read_disk, read_raw, write_disk_contents
from bakery.contents.remote import read_archive
from bakery.contents.sbom import require_readable
from bakery.contents.system import DATABASE, DOCUMENT, FILE_LIST, SystemContents, sbom_path
from bakery.contents.unreadable import UnreadableError

__all__ = [
    "DATABASE",
    "DOCUMENT",
    "FILE_LIST",
    "SystemContents",
    "UnreadableError",
    "read_archive",
    "read_disk",
    "read_raw",
    "require_readable",
    "sbom_path",
    "write_disk_contents",
]
