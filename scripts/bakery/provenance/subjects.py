"""The subjects of a statement: the raw disks of a version, and the images at its locations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bakery.machine.block_stream import DiskDigest
from bakery.model.documents import ImageLocation

RAW = "sha256"  # of a disk's bytes, as one raw file
# The digest of a list of blocks (bakery.machine.block_list). in-toto's DigestSet allows algorithms beside its own.
BLOCKS = "blocksSha256"
DISK_BYTES = "diskBytes"  # internal parameter: the size of each disk by its subject's name

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class HeldImage:
    """An image at a location of a target, and the disk that it has. `disk_name` names the disk among the subjects."""

    target: str
    location: ImageLocation
    disk_name: str
    disk: DiskDigest


@dataclass(frozen=True)
class AttestedDisk:
    """The disk of a location in a statement: the digest of its raw bytes, its size, the digest of its blocks."""

    sha256: str
    size: int
    blocks: str


def location_name(target: str, location: ImageLocation) -> str:
    """The name of an image among the subjects: target, account, region and ID."""
    return "/".join(filter(None, (target, location.account, location.region, location.id)))


def list_subjects(images: Iterable[HeldImage]) -> list[dict[str, Any]]:
    """The disks, each once, and then the images."""
    held = list(images)
    disks = {image.disk_name: image.disk for image in held}
    return [
        *({"name": name, "digest": _digest_set(disk)} for name, disk in disks.items()),
        *(
            {"name": location_name(image.target, image.location), "digest": {BLOCKS: image.disk.blocks.sha256}}
            for image in held
        ),
    ]


def list_sizes(images: Iterable[HeldImage]) -> dict[str, int]:
    """The size of each disk in bytes by its subject's name."""
    return {image.disk_name: image.disk.size for image in images}


def find_disk(statement: Statement, target: str, location: ImageLocation) -> AttestedDisk | None:
    """The disk of an image in a statement; None if that does not name the image."""
    digests: dict[str, Mapping[str, str]] = {one["name"]: one["digest"] for one in statement["subject"]}
    blocks = digests.get(location_name(target, location), {}).get(BLOCKS)
    sizes: Mapping[str, int] = statement["predicate"]["buildDefinition"]["internalParameters"][DISK_BYTES]
    disks = (AttestedDisk(digests[name][RAW], size, digests[name][BLOCKS]) for name, size in sizes.items())
    return next((disk for disk in disks if disk.blocks == blocks), None)


def _digest_set(disk: DiskDigest) -> dict[str, str]:
    return {RAW: disk.sha256, BLOCKS: disk.blocks.sha256}
