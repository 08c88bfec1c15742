"""Base disks: made or downloaded once per specification, then reused."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.events import Event, Reporter, report_step, silent
from bakery.layers import archive_lists, checksums, debian
from bakery.layers.debian import UNDATED
from bakery.layers.download import download
from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.model import documents
from bakery.model.bases import Debootstrap, QemuBase
from bakery.model.documents import Base, Strict, VendorBase

FORMAT = "2"  # of a cache entry; raise it when code here changes the content of entries
WAIT_SECONDS = 3600.0  # for another run that makes the same base: a slow mirror or a large download can take so long
UNUSED_SECONDS = 7 * 86400.0  # after which an older Debian base gives its space to the new one


@dataclass(frozen=True)
class CachedBase(Strict):
    """The document of a cache entry. `disk` is the SHA-256 of its disk; that in `base` may be of its download."""

    base: Base
    disk: str


@dataclass(frozen=True)
class LastBase(Strict):
    """The cache entry of the last bake with a lock, and the vendor's base in it if a list of checksums named it."""

    entry: str
    vendor_base: VendorBase | None


def prepare(
    base: QemuBase,
    cache: Path,
    recipe: Path,
    report: Reporter,
    archives: Mapping[str, str] | None = None,
    offline: bool = False,
) -> BaseDisk:
    """Find or make the disk of a `url` or `debootstrap` base; `recipe` is the folder of the latter.

    A `debootstrap` base is made again when its archives have newer packages for it, so it is never older than they are.
    `archives` are the dated ones of a lock, by the address that they stand for. With `offline`, the base is the one of
    the last call for the same lock; BakeryError if there is none. A base that follows a list of checksums is the newest
    image there, unless it is `offline`.
    """
    if archives is None:
        return _find_or_make(base, cache, recipe, UNDATED, report)
    last = cache / "bases" / f"{_cache_key(base, recipe, [f'{one} {dated}' for one, dated in archives.items()])}.last"
    if offline:
        return _find_last(last, _base_name(base), report)
    disk = _find_or_make(base, cache, recipe, archives, report)
    documents.save(LastBase(disk.path.parent.name, disk.vendor_base), last)
    return disk


def find_disk_size(base: QemuBase, cache: Path) -> int:
    """The bytes that the smallest disk of a base takes in the cache, perhaps of an older state; 0 if it has none."""
    disks = [
        document.with_name("disk.qcow2")
        for document in (cache / "bases").glob("*/base.json")
        if (cached := documents.find_valid(CachedBase, document)) and cached.base.name == _base_name(base)
    ]
    return min((files.find_used_space(disk) for disk in disks if disk.exists()), default=0)


def _find_last(last: Path, name: str, report: Reporter) -> BaseDisk:
    base = documents.find_valid(LastBase, last)
    if base and (disk := _load_entry(last.with_name(base.entry), report)):
        for path in (last, disk.path.parent):
            os.utime(path)
        return replace(disk, vendor_base=base.vendor_base)
    hint = "bake once with 'package_versions: pinned'"
    raise BakeryError(f"the base '{name}' for this lock is not in the cache", where=str(last.parent), hint=hint)


def _find_or_make(base: QemuBase, cache: Path, recipe: Path, archives: Mapping[str, str], report: Reporter) -> BaseDisk:
    if base.checksums:
        newest = checksums.find_base(base, cache)
        digest = newest.identity.partition(":")[2]
        disk = _prepare_entry(base, digest, (digest,), cache, recipe, archives, report)
        return replace(disk, vendor_base=newest)
    packages = _resolve_packages(base.debootstrap, cache, recipe, archives, report) if base.debootstrap else ()
    return _prepare_entry(base, base.sha256 or "", packages, cache, recipe, archives, report)


def _prepare_entry(
    base: QemuBase,
    digest: str,
    state: Sequence[str],
    cache: Path,
    recipe: Path,
    archives: Mapping[str, str],
    report: Reporter,
) -> BaseDisk:
    """Find or make the disk of a base in one state: of its archives, or with one digest of its download."""
    key = _cache_key(base, recipe, state)
    entry = cache / "bases" / key
    if disk := _load_entry(entry, report):
        os.utime(entry)
        return disk
    name = _base_name(base)
    with files.exclusive(
        entry.with_name(f"{key}.lock"),
        f"another run is making the base '{name}'",
        WAIT_SECONDS,
        lambda: report(Event("note", "base", name, "waiting for another run that makes this base")),
    ):
        return _load_entry(entry, silent) or _make_base(base, digest, entry, recipe, archives, report)


def _resolve_packages(
    spec: Debootstrap, cache: Path, recipe: Path, archives: Mapping[str, str], report: Reporter
) -> Sequence[str]:
    """The packages of a Debian base now. apt is asked when an archive changed since it was asked last.

    It is not asked about dated archives, which have one answer.
    """
    state = archive_lists.read_state(spec, recipe, archives)
    if archives and all(source.use_dated(archives) != source for source in debian.list_sources(spec, recipe)):
        return state
    answer = cache / "bases" / f"{_cache_key(QemuBase(debootstrap=spec), recipe, state)}.packages"
    with suppress(FileNotFoundError):
        packages = answer.read_text().splitlines()
        os.utime(answer)
        return packages
    subject = f"debian {spec.suite}"
    try:
        with report_step(report, "base", subject, "resolve packages"):
            resolved = debian.resolve(spec, recipe, archives)
    except process.ProcessError as error:
        reason = "apt cannot simulate its installation, so each change of an archive makes it again"
        report(Event("note", "base", subject, f"{reason}: {error.message}"))
        return state
    files.write_atomic(answer, "".join(f"{package}\n" for package in resolved).encode())
    return resolved


def _make_base(
    base: QemuBase, expected: str, entry: Path, recipe: Path, archives: Mapping[str, str], report: Reporter
) -> BaseDisk:
    """The disk of a base; `expected` is the digest of a download."""
    with files.scratch(entry.parent, "base") as scratch:  # one prefix, so that any base clears up after a killed run
        draft = scratch / "entry"
        draft.mkdir()
        disk = draft / "disk.qcow2"
        if base.debootstrap:
            clock = archive_lists.read_clock(base.debootstrap, recipe, archives)
            log = entry.with_name(f"{entry.name}.log")
            debian.build(base.debootstrap, recipe, disk, log, report, archives, clock)
            digest = files.sha256(disk)
        else:
            assert base.url
            digest = _fetch_image(base.url, expected, disk, entry.with_name(f"{entry.name}.download"), report)
        disk.chmod(0o444)
        document = CachedBase(Base(_base_name(base), "", digest), files.sha256(disk))
        documents.save(document, draft / "base.json")
        shutil.rmtree(entry, ignore_errors=True)  # one that `_load_entry` found damaged
        draft.rename(entry)
    _remove_unused(entry.parent, _base_name(base), replaced=base.sha256 is None)
    return BaseDisk(entry / "disk.qcow2", document.base, document.disk)


def _fetch_image(url: str, expected: str, disk: Path, download_file: Path, report: Reporter) -> str:
    """Make a base disk of a vendor's image: one file, uncompressed, because decompression would slow down every read.

    Returns the SHA-256 of the download; `expected` may be its SHA-512.
    """
    with report_step(report, "base", url, "download"):
        download(url, expected, download_file, report)
    digest = files.sha256(download_file)
    image = disk_image.inspect(download_file)
    elsewhere = image.get("backing-filename") or image.get("format-specific", {}).get("data", {}).get("data-file")
    if elsewhere:
        download_file.unlink()
        raise BakeryError(
            "the downloaded image has a backing file",
            where=url,
            detail=elsewhere,
            hint="use an image that is a single file",
        )
    with report_step(report, "base", url, "unpack"):
        files.require_space(disk.parent, image["virtual-size"], "the unpacked base")
        disk_image.to_qcow2(download_file, disk)
    download_file.unlink()
    return digest


def _remove_unused(folder: Path, name: str, replaced: bool) -> None:
    """Remove the bases of this name that no bake started from in a week, if newer ones replace them.

    Answers of apt and notes on last bases that nothing used for a week are removed as well, of all names.
    """
    for note in (*folder.glob("*.packages"), *folder.glob("*.last")):
        if _is_unused(note):
            note.unlink(missing_ok=True)
    for document in folder.glob("*/base.json"):
        if replaced and _is_unused(document.parent):
            cached = documents.find_valid(CachedBase, document)
            if cached is None or cached.base.name == name:
                shutil.rmtree(document.parent, ignore_errors=True)


def _is_unused(path: Path) -> bool:
    """Whether a week has passed since a file or folder was made or last used."""
    try:
        return time.time() - path.stat().st_mtime > UNUSED_SECONDS
    except FileNotFoundError:  # another run removed it
        return False


def _load_entry(entry: Path, report: Reporter) -> BaseDisk | None:
    """The disk of an entry; None unless it is complete and has the bytes that were made.

    The disk is read in full, once for each process while its file stays the same.
    """
    disk, document = entry / "disk.qcow2", documents.find_valid(CachedBase, entry / "base.json")
    if document is None or not disk.exists():
        return None
    name = document.base.name
    report(Event("progress", "base", name, "compare the disk with its digest"))
    digest = files.sha256_by_stamp(disk)
    if digest != document.disk:
        text = f"its disk in the cache changed, and is made again: {digest} instead of {document.disk}"
        report(Event("note", "base", name, text))
        return None
    return BaseDisk(disk, document.base, document.disk)


def _base_name(base: QemuBase) -> str:
    return f"debian {base.debootstrap.suite}" if base.debootstrap else str(base.url)


def _cache_key(base: QemuBase, recipe: Path, state: Sequence[str]) -> str:
    """The name of a cache entry: 16 hex digits over all inputs of the base, and its `state`."""
    spec: dict[str, object] = {"format": FORMAT, **base.model_dump(mode="json", exclude_none=True)}
    if base.checksums:
        spec["digest"] = list(state)
    if base.debootstrap:
        spec["archives"] = list(state)
        spec["recipe"] = [
            [path.relative_to(recipe).as_posix(), files.sha256(path), bool(path.stat().st_mode & 0o100)]
            for path in sorted(recipe.rglob("*"))
            if path.is_file()
        ]
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
