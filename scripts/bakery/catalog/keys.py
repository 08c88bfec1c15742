"""Keys of the catalog's documents."""

import re

from bakery.catalog.record import ChannelEntry, Failure, Move, Record, Snapshot
from bakery.host.errors import BakeryError
from bakery.model.contents import SBOM_SUFFIXES, SbomFormat
from bakery.model.observations import Observations
from bakery.model.version import Versioned

# The kinds of documents that a folder holds a series of.
Numbered = Record | ChannelEntry | Move | Failure | Observations | Snapshot

VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")  # three integers: Azure galleries accept nothing else
NUMBERED = re.compile(r"^\d{6}\.json$")  # sorts as text; other files in the folder are ignored
OBSERVATIONS = "observations"
HEADS, CHANGES = "index/heads", "index/changes"
ANNOUNCED = re.compile(r"images/([^/]+)/([^/]+)/(?:versions|channels)/[^/]+/(?:moves/)?\d{6}\.json")


def version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def release_line(version: str) -> str:
    """MAJOR.MINOR of a version."""
    return version.rpartition(".")[0]


def versions_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/versions"


def version_folder(of: Versioned) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}"


def channels_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/channels"


def channel_folder(image: str, arch: str, channel: str) -> str:
    return f"{channels_folder(image, arch)}/{channel}"


def moves_folder(image: str, arch: str, channel: str) -> str:
    return f"{channel_folder(image, arch, channel)}/moves"


def failures_folder(image: str, arch: str) -> str:
    return f"images/{image}/{arch}/failures"


def contents_key(of: Versioned, sha256: str) -> str:
    return f"{version_folder(of)}/contents-{sha256}.json"


def database_key(of: Versioned, sha256: str) -> str:
    return f"{version_folder(of)}/packages-{sha256}.tar.gz"


def sbom_key(of: Versioned, name: SbomFormat, sha256: str) -> str:
    return f"{version_folder(of)}/sbom-{sha256}.{SBOM_SUFFIXES[name]}"


def files_key(of: Versioned, sha256: str) -> str:
    return f"{versions_folder(of.image, of.arch)}/{of.version}/files-{sha256}.json.gz"


def vulnerabilities_key(of: Versioned, sha256: str) -> str:
    return f"{version_folder(of)}/vulnerabilities-{sha256}.json"


def vex_key(of: Versioned, sha256: str) -> str:
    return f"{version_folder(of)}/vex-{sha256}.json"


def provenance_key(of: Versioned, sha256: str) -> str:
    return f"{version_folder(of)}/provenance-{sha256}.json"


def blocks_key(of: Versioned, sha256: str) -> str:
    return f"{version_folder(of)}/blocks-{sha256}.txt"


def heads_key(sha256: str) -> str:
    return f"{HEADS}/{sha256}.json.gz"


def announcement_name(key: str) -> str:
    """The name that announces the document of a key; BakeryError if no reader would understand it."""
    name = key.replace("/", "@")
    if announced_key(name) != key:
        raise BakeryError("this is not a valid path in the catalog", where=key)
    return name


def announced_key(name: str) -> str:
    """The key of the document that a name announces; empty for any other name."""
    key = name.replace("@", "/")
    return key if ANNOUNCED.fullmatch(key) else ""


def image_of(key: str) -> tuple[str, str]:
    """The name and the architecture of the image whose document has a key."""
    _, image, arch, *_ = key.split("/")
    return image, arch


def document_key(document: Numbered) -> str:
    """The key that a document of a series belongs to, by its own fields."""
    match document:
        case Record():
            folder, number = version_folder(document), document.revision
        case ChannelEntry():
            folder, number = channel_folder(document.image, document.arch, document.channel), document.number
        case Move():
            folder, number = moves_folder(document.image, document.arch, document.channel), document.number
        case Failure():
            folder, number = failures_folder(document.image, document.arch), document.number
        case Observations():
            folder, number = OBSERVATIONS, document.number
        case Snapshot():
            folder, number = HEADS, document.number
    return f"{folder}/{number:06d}.json"
