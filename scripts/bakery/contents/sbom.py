"""Software bills of materials of a part, as syft writes them over a copy of its root file system."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, uuid5

from bakery.host import process
from bakery.host.errors import BakeryError, UsageError
from bakery.model.contents import SBOM_SUFFIXES, Package, SbomFormat
from bakery.model.documents import Artifact, Part
from bakery.model.version import Versioned

FORMATS: dict[SbomFormat, str] = {"cyclonedx": "cyclonedx-json@1.6", "spdx": "spdx-json@2.3"}
SETTINGS = {
    "check-for-app-update": False,
    # For folders syft's default is what lock files ask for; for images it is what is installed.
    "default-catalogers": ["image"],
    # A thousand kernel modules would count as packages, although the kernel's package has them.
    "select-catalogers": ["-file", "-linux-kernel-cataloger"],
    "relationships": {"package-file-ownership": False},
}
# Where syft takes a temporary file system for the running system's own, and skips it without a word.
SKIPPED = ("/dev", "/run")
TEMPORARY = ("tmpfs", "devtmpfs")
SECONDS = 600.0  # a system of 400 MB takes 8 s on two busy cores

Document = dict[str, Any]


def require_readable(workspace: Path) -> None:
    """UsageError if syft would find no packages in a workspace."""
    folder = workspace.resolve()
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    kinds = {point: kind for point, kind in mounts if folder.is_relative_to(point)}  # of a point, the last mount counts
    if kinds[max(kinds, key=len)] in TEMPORARY and any(map(folder.is_relative_to, SKIPPED)):
        raise UsageError(
            "syft reads no temporary file system below /dev or /run, so no contents of a disk can be listed there",
            where=str(workspace),
            hint="name another folder with --workspace; a temporary file system may be mounted anywhere else",
        )


def list_components(
    tree: Path, of: Versioned, packages: Iterable[Package], syft: Path, scratch: Path
) -> dict[SbomFormat, Document]:
    """Documents of syft about a copied root file system, by format; BakeryError if one lacks any of `packages`."""
    settings = scratch / "syft.yaml"  # in place of the user's own
    settings.write_text(json.dumps(SETTINGS))
    paths = {name: scratch / f"sbom.{suffix}" for name, suffix in SBOM_SUFFIXES.items()}
    outputs = [option for name, path in paths.items() for option in ("--output", f"{FORMATS[name]}={path.absolute()}")]
    names = ("--source-name", of.image, "--source-version", of.version)
    source = (f"dir:{tree.absolute()}", "--base-path", tree.absolute())
    process.run([syft, "scan", *source, *names, "--quiet", "--config", settings.absolute(), *outputs], timeout=SECONDS)
    cyclonedx, spdx = (json.loads(paths[name].read_bytes()) for name in ("cyclonedx", "spdx"))
    require_packages("CycloneDX", _list_cyclonedx(cyclonedx), packages)
    require_packages("SPDX", _list_spdx(spdx), packages)
    return {"cyclonedx": cyclonedx, "spdx": spdx}


def bind_sboms(documents: Mapping[SbomFormat, Document], part: Part) -> dict[SbomFormat, bytes]:
    """The bills of materials of a part, from documents of syft; equal disks give equal bytes."""
    cyclonedx, spdx = copy.deepcopy(documents["cyclonedx"]), copy.deepcopy(documents["spdx"])
    _bind_cyclonedx(cyclonedx, part)
    _bind_spdx(spdx, part)
    return {"cyclonedx": _dump_document(cyclonedx), "spdx": _dump_document(spdx)}


def list_packages(name: SbomFormat, document: Document) -> set[tuple[str, str, str]]:
    """(name, version, architecture) of the operating system's packages in a document."""
    return set(_list_cyclonedx(document) if name == "cyclonedx" else _list_spdx(document))


def require_packages(standard: str, listed: Iterable[tuple[str, str, str]], packages: Iterable[Package]) -> None:
    """BakeryError with the packages that a document lacks, if it lacks any."""
    expected = {(package.name, package.version, package.architecture) for package in packages}
    if missing := sorted(expected - set(listed)):
        raise BakeryError(
            f"the {standard} document of syft lacks {len(missing)} of {len(expected)} packages",
            detail="\n".join(" ".join(package) for package in missing),
            hint="run 'make setup' for the version of syft that the bakery was tested with",
        )


def _bind_cyclonedx(document: Document, part: Part) -> None:
    """Name the disk by its digest or the images by their IDs, and take identity and time from the part."""
    document["serialNumber"] = _identity_of(part)
    metadata = document["metadata"]
    metadata["timestamp"] = _format_time(part)
    component = metadata["component"]
    component["bom-ref"] = part.identity  # syft's own depends on the path of the scratch folder
    if isinstance(part, Artifact):
        component["hashes"] = [{"alg": "SHA-256", "content": part.disk.sha256}]
    else:
        component["properties"] = [{"name": f"bakery:image:{name}", "value": id} for name, id in part.ids.items()]


def _bind_spdx(document: Document, part: Part) -> None:
    """The same for SPDX; without files, whose digests syft leaves 0."""
    document["documentNamespace"] = _identity_of(part)
    document["creationInfo"]["created"] = _format_time(part)
    files = {file["SPDXID"] for file in document.pop("files", ())}
    document["relationships"] = [
        relation for relation in document["relationships"] if relation["relatedSpdxElement"] not in files
    ]
    (system,) = (package for package in document["packages"] if "-DocumentRoot-" in package["SPDXID"])
    if isinstance(part, Artifact):
        system["checksums"] = [{"algorithm": "SHA256", "checksumValue": part.disk.sha256}]
    else:
        system["comment"] = "\n".join(f"image in {name}: {id}" for name, id in part.ids.items())
    system["filesAnalyzed"] = False
    system.pop("packageVerificationCode", None)


def _identity_of(part: Part) -> str:
    return uuid5(NAMESPACE_URL, f"urn:sha256:{part.identity}").urn


def _format_time(part: Part) -> str:
    """The end of the bake, in the only form that SPDX allows."""
    return datetime.fromisoformat(part.created).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _list_cyclonedx(document: Document) -> Iterator[tuple[str, str, str]]:
    for component in document.get("components", ()):
        if architecture := _architecture_in(component.get("purl", "")):
            yield component["name"], component["version"], architecture


def _list_spdx(document: Document) -> Iterator[tuple[str, str, str]]:
    for package in document["packages"]:
        for reference in package.get("externalRefs", ()):
            if architecture := _architecture_in(reference["referenceLocator"]):
                yield package["name"], package["versionInfo"], architecture


def _architecture_in(purl: str) -> str:
    """The architecture of a package of dpkg or rpm; empty for other references."""
    if not purl.startswith(("pkg:deb/", "pkg:rpm/")):
        return ""
    return parse_qs(urlsplit(purl).query).get("arch", [""])[0]


def _dump_document(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
