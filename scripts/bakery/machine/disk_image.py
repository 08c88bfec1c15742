"""Disk images: formats, and the content of a raw disk, its digest and its partitions."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.parallel import is_interrupted
from bakery.model.documents import Base, VendorBase

ZEROS = bytes(files.CHUNK)
NO_TABLE = "does not contain a recognized partition table"  # sfdisk


@dataclass(frozen=True)
class BaseDisk:
    """A read-only qcow2 from which disks are built: a change of it would corrupt all of them.

    `sha256` is of the file, which whoever found it has compared. `vendor_base` is set if it is the newest image of a
    vendor.
    """

    path: Path
    base: Base
    sha256: str
    vendor_base: VendorBase | None = None


@dataclass(frozen=True)
class Partition:
    """An entry of a partition table; start and size in bytes, type in upper case (a GUID in a GPT)."""

    name: str
    type: str
    start: int
    size: int
    number: int


@dataclass(frozen=True)
class FileExtent:
    """Bytes of a disk from `start` up to `end`, which begin at `offset` of its file."""

    start: int
    end: int
    offset: int


@dataclass(frozen=True)
class Layout:
    """The bytes of a disk of `size` bytes in its file, in the order of the disk; between two extents are zeros."""

    size: int
    extents: Sequence[FileExtent]


def inspect(image: Path) -> dict[str, Any]:
    """The output of `qemu-img info` for an image, whose format is detected from the content."""
    info: dict[str, Any] = json.loads(process.run(["qemu-img", "info", "--output=json", image]).stdout)
    return info


@contextmanager
def as_raw(image: Path) -> Iterator[Path]:
    """The content of an image as a sparse raw file beside it, removed afterwards."""
    with files.scratch(image.parent, "raw") as folder:
        raw = folder / "disk.raw"
        write_raw(image, raw)
        yield raw


def require_unchanged(disk: BaseDisk) -> None:
    """BakeryError if the file of a base has other bytes than when it was found."""
    digest = files.sha256_by_stamp(disk.path)
    if digest != disk.sha256:
        raise BakeryError(
            "the base changed while an image was built on it",
            where=str(disk.path),
            detail=f"before {disk.sha256}\nafter  {digest}",
            hint="find out who writes to that folder, and run again",
        )


def write_raw(image: Path, raw: Path) -> None:
    """Write the content of an image to a sparse raw file."""
    _convert_image(image, raw, "raw")


def to_qcow2(source: Path, target: Path) -> None:
    """Write an image as one qcow2 file without a backing file; uncompressed, since images are built on it."""
    with files.scratch(target.parent, "qcow2") as folder:
        draft = folder / target.name
        _convert_image(source, draft, "qcow2")
        process.run(["qemu-img", "check", "-q", "-f", "qcow2", draft])
        files.move_into_place(draft, target)


def vhd_footer(folder: Path, size: int) -> bytes:
    """The 512-byte footer that makes a raw disk of `size` bytes a fixed VHD; `folder` holds a temporary file."""
    with files.scratch(folder, "vhd") as scratch:
        empty = scratch / "empty.vhd"
        # Without force_size, qemu-img rounds the size up to whole cylinders.
        process.run(["qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on", empty, str(size)])
        with empty.open("rb") as stream:
            stream.seek(size)
            return stream.read()


def data_extents(raw: Path) -> Iterator[tuple[int, int]]:
    """(start, end) in bytes of the data between the holes of a sparse file."""
    with raw.open("rb") as stream:
        end, size = 0, raw.stat().st_size
        while end < size:
            try:
                start = os.lseek(stream.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                return
            end = os.lseek(stream.fileno(), start, os.SEEK_HOLE)
            yield start, end


def raw_layout(raw: Path) -> Layout:
    """The layout of a raw disk: its file is the disk."""
    return Layout(raw.stat().st_size, [FileExtent(start, end, start) for start, end in data_extents(raw)])


def qcow2_layout(image: Path) -> Layout:
    """The layout of a qcow2 image, which is read without a copy; BakeryError if it is compressed or has a parent."""
    entries = json.loads(process.run(["qemu-img", "map", "-f", "qcow2", "--output=json", image]).stdout)
    data = [entry for entry in entries if entry["data"] and not entry["zero"]]
    if any("offset" not in entry or entry["depth"] for entry in data):
        raise BakeryError(
            "the file does not have all bytes of its disk as they are",
            where=str(image),
            hint="it is compressed, or based on another file: bake it again",
        )
    extents = [FileExtent(entry["start"], entry["start"] + entry["length"], entry["offset"]) for entry in data]
    return Layout(entries[-1]["start"] + entries[-1]["length"] if entries else 0, extents)


class RawDigest:
    """SHA-256 of the first `size` bytes of a disk from its pieces, in order; all bytes between them are zeros."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._content = hashlib.sha256()
        self._end = 0

    def add(self, start: int, piece: bytes) -> None:
        """Take the piece that begins at a byte of the disk."""
        self._add_zeros(min(start, self._size) - self._end)
        self._content.update(piece[: max(0, self._size - start)])
        self._end = min(start + len(piece), self._size)

    def finish(self) -> str:
        """The digest, when no piece is left."""
        self._add_zeros(self._size - self._end)
        self._end = self._size
        return self._content.hexdigest()

    def _add_zeros(self, count: int) -> None:
        """An interrupt ends it, since a large disk is mostly zeros."""
        for _ in range(count // len(ZEROS)):
            if is_interrupted():
                raise KeyboardInterrupt
            self._content.update(ZEROS)
        self._content.update(ZEROS[: count % len(ZEROS)])


def read_table(raw: Path) -> dict[str, Any]:
    """The partition table of a raw disk, as `sfdisk --json` gives it; empty if the disk has none."""
    try:
        answer = process.run(["sfdisk", "--json", raw], env={"LC_ALL": "C"})
    except process.ProcessError as error:
        if NO_TABLE in error.tail:
            return {}
        raise
    table: dict[str, Any] = json.loads(answer.stdout)["partitiontable"]
    return table


def partitions(raw: Path) -> list[Partition]:
    """The partitions of a raw disk, in the order of the table; none if it has no table."""
    table = read_table(raw)
    unit = table.get("sectorsize", 0)
    return [
        Partition(
            name=entry.get("name", ""),
            type=entry["type"].upper(),
            start=entry["start"] * unit,
            size=entry["size"] * unit,
            number=int(entry["node"].removeprefix(table["device"]).removeprefix("p")),
        )
        for entry in table.get("partitions", ())
    ]


def _convert_image(source: Path, target: Path, kind: str) -> None:
    process.run(["qemu-img", "convert", "-f", _image_format(source), "-O", kind, source, target])


def _image_format(image: Path) -> str:
    """The format by the file name if possible: a guest can make the content of a raw disk look like another format."""
    return image.suffix[1:] if image.suffix in (".raw", ".qcow2") else str(inspect(image)["format"])
