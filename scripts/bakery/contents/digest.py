"""The content digest of a disk: equal for two disks on which the same system is, however its bytes are laid out.

It covers the files of ext and FAT file systems with all that a program can see of them, except for times; the partition
table; code that firmware starts; and small partitions of other kinds. `docs/explanation/content-digest.md` says why.
"""

import hashlib
import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

from bakery.contents.tree import Entry, read_entries
from bakery.host import files
from bakery.machine import disk_image, fat
from bakery.machine.ext import DATA, LAYOUT, SYSTEM, ExtReader
from bakery.machine.filesystem import FileSystem, is_ext

FORM = b"bakery/content/1\n"  # another composition gives another digest
BOOT_CODE = 440  # bytes at the start of a disk: UEFI specification, 5.2.1
SECTOR = 512
LARGEST = 64 << 20  # bytes of a partition without files, such as GRUB's of 1 MiB
SHORT = 8  # hex digits that tell two entries apart in a list
# sfdisk(8), --json: what it says of the table and of each partition, apart from the path of the disk.
TABLE = ("label", "id", "unit", "sectorsize")
PARTITION = ("start", "size", "type", "uuid", "name", "attrs", "bootable")


@dataclass(frozen=True)
class Exclusion:
    """Paths of the root file system that do not count, as a shell pattern, and why."""

    pattern: str
    reason: str


# The first two differ between bakes without a guest, as was seen; the others hold times of a boot.
EXCLUDED = (
    Exclusion(
        "/var/cache/ldconfig/aux-cache",
        "`ldconfig` remembers libraries by inode and time in it. Only `ldconfig` reads it, to be faster the next time.",
    ),
    Exclusion(
        "*/__pycache__/*.pyc",
        "Python compiled it from the source beside its folder, whose time and size it has. Python makes it again, or "
        "ignores it, if they do not fit. Sources that pip installs have the time of the bake. A file that was compiled "
        "with `unchecked-hash` runs although its source may be another, and is left out as well.",
    ),
    Exclusion("/etc/.updated", "systemd wrote into it when it first started with this `/usr`."),
    Exclusion("/var/.updated", "The same."),
    Exclusion("/var/log/wtmp.db", "The times of all boots and logins are in it."),
    Exclusion(
        "/var/lib/systemd/timers/stamp-*", "Empty files, by whose times systemd knows which timers ran, and when."
    ),
)
EXCLUDED_PATHS = re.compile("|".join(translate(exclusion.pattern) for exclusion in EXCLUDED).encode())


@dataclass(frozen=True)
class Content:
    """The content digest of a disk, and the start of a digest for each entry, which names what differs.

    The entry of a file that not everybody may read has no trace of its bytes: a short secret could be guessed by it.
    """

    digest: str = ""
    entries: dict[str, str] = field(default_factory=dict)


def read_content(raw: Path, root: FileSystem, entries: Iterable[Entry], folders: Mapping[int, Path]) -> Content:
    """The content of a raw disk; without a digest if part of it is neither ext nor FAT, or was not unmounted.

    `entries` are those of the root file system, `folders` the files of FAT file systems by number of partition.
    """
    lines = dict(_describe_table(raw))
    public = dict(lines)
    for partition in disk_image.partitions(raw):
        label = f"partition {partition.number}".encode()
        if is_ext(raw, partition.start):
            is_root = root.raw == raw and root.partition == partition
            with ExtReader(raw, partition) as reader:
                if not reader.is_unmounted:
                    return Content()
                lines[label] = public[label] = reader.identity
            counted = list(_list_counted(entries)) if is_root else read_entries(raw, partition)
            for path, line, listed in describe_entries(counted):
                name = (b"" if is_root else label) + (path or b"/")
                lines[name], public[name] = line, listed
        elif partition.number in folders:
            lines[label] = public[label] = b"\0".join(fat.read_names(raw, partition))
            described = {label + b"/" + path: line for path, line in _describe_folder(folders[partition.number])}
            lines |= described
            public |= described
        elif partition.size <= LARGEST:
            lines[label] = public[label] = _digest_bytes(raw, partition.start, partition.size)
        else:
            return Content()
    content = hashlib.sha256(FORM)
    for name in sorted(lines):
        content.update(_digest_line(name, lines[name]))
    listing = {as_text(name): _digest_line(name, line).hex()[:SHORT] for name, line in sorted(public.items())}
    return Content(content.hexdigest(), listing)


def _describe_table(raw: Path) -> Iterator[tuple[bytes, bytes]]:
    table = disk_image.read_table(raw)
    partitions = disk_image.partitions(raw)
    rows = [
        [partition.number, *(entry.get(key) for key in PARTITION)]
        for partition, entry in zip(partitions, table["partitions"], strict=True)
    ]
    yield b"partition table", json.dumps([[table.get(key) for key in TABLE], rows]).encode()
    yield b"boot code", _digest_bytes(raw, 0, BOOT_CODE)
    if table["label"] == "dos":  # GRUB is behind the table there, and has a partition of its own in a GPT
        first = min((partition.start for partition in partitions), default=SECTOR)
        yield b"boot loader", _digest_bytes(raw, SECTOR, first - SECTOR)


def _list_counted(entries: Iterable[Entry]) -> Iterator[Entry]:
    return (entry for entry in entries if not EXCLUDED_PATHS.fullmatch(entry.path))


def describe_entries(entries: Iterable[Entry]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(path, description, description without private data) of entries; a file with two names is described once."""
    first_names: dict[int, bytes] = {}
    for entry in sorted(entries, key=lambda entry: entry.path):
        node = entry.node
        attributes = sorted(
            f"{attribute.namespace} {attribute.name.hex()} {attribute.value.hex()}"
            for attribute in node.attributes
            if (attribute.namespace, attribute.name) != (SYSTEM, DATA)
        )
        fields = f"{node.mode:o}\0{node.uid} {node.gid}\0{node.flags & ~LAYOUT:x}\0{','.join(attributes)}\0".encode()
        content = listed = entry.content
        if stat.S_ISREG(node.mode):
            first = first_names.setdefault(node.number, entry.path)
            if first != entry.path:
                content = listed = b"the same file as " + first
            elif entry.is_private:
                listed = b""
        yield entry.path, fields + content, fields + listed


def _describe_folder(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    """(path, description) of the files and folders of a FAT file system, which have no owners or modes."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
        yield name, files.sha256(path).encode() if path.is_file() else b"folder"


def _digest_line(name: bytes, line: bytes) -> bytes:
    return hashlib.sha256(name + b"\0" + line).digest()


def _digest_bytes(raw: Path, start: int, size: int) -> bytes:
    content = hashlib.sha256()
    with raw.open("rb") as stream:
        stream.seek(start)
        for offset in range(0, size, files.CHUNK):
            content.update(stream.read(min(files.CHUNK, size - offset)))
    return content.hexdigest().encode()


def as_text(name: bytes) -> str:
    """A path for people. Names of files need not be text."""
    return name.decode("utf-8", "backslashreplace")
