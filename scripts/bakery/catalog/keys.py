"""Keys of the catalog's documents."""

import re

from bakery.catalog.record import Record
from bakery.model.contents import SBOM_SUFFIXES, SbomFormat
from bakery.model.version import Versioned

VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")  # three integers: Azure galleries accept nothing else
NUMBERED = re.compile(r"^\d{6}\.json$")  # sorts as text; other files in the folder are ignored


def version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def versions_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/versions"


def channels_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/channels"


def failures_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/failures"


def contents_key(of: Versioned, sha256: str) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}/contents-{sha256}.json"


def database_key(of: Versioned, sha256: str) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}/packages-{sha256}.tar.gz"


def sbom_key(of: Versioned, name: SbomFormat, sha256: str) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}/sbom-{sha256}.{SBOM_SUFFIXES[name]}"


def files_key(of: Versioned, sha256: str) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}/files-{sha256}.json.gz"


def vulnerabilities_key(of: Versioned, sha256: str) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}/vulnerabilities-{sha256}.json"


def vex_key(of: Versioned, sha256: str) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}/vex-{sha256}.json"


def revision_key(record: Record) -> str:
    return f"{versions_folder(record.image, record.arch)}/{record.version}/{record.revision:06d}.json"
