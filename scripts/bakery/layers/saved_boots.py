"""Saved boots: each base or layer is booted once on the machine of bakes, saved, and kept for the bakes to come."""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import Event, Reporter, report_step
from bakery.machine import qemu, saved_boot
from bakery.machine.saved_boot import Boot, SavedBoot
from bakery.model import documents
from bakery.model.documents import Strict

FORMAT = "1"  # of a saved boot; raise it when code here or in machine/saved_boot.py changes what it is
WAIT_SECONDS = 3600.0  # for another run that saves the same boot
DOCUMENT = "boot.json"
UNUSED_SECONDS = 7 * 86400.0  # after which a saved boot is removed
KEPT = 5  # saved boots: each takes 100 MB, and also the space of the disk that it booted if that is removed
RETRY_SECONDS = 86400.0  # after which a boot that could not be saved is tried again: the machine may have been busy
# A saved guest has 90 MB of compressed memory and an overlay of 10 MB, but one may have written all of its memory.
NEEDED_BYTES = (qemu.MACHINE.memory_mib << 20) + (1 << 30)


@dataclass(frozen=True)
class StartDisk:
    """The disk that a bake starts from, a base or a layer: its name for people, its file, and the SHA-256 of that."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class CachedBoot(Strict):
    """The document of a cache entry: the digests of its files, or the reason why this boot cannot be saved."""

    created: str
    base: str
    qemu: str
    digests: dict[str, str]
    obstacle: str = ""


def find_or_save(
    start: StartDisk, boot: Boot, cache: Path, folder: Path, network: Sequence[str | Path], report: Reporter
) -> SavedBoot | None:
    """The saved boot of a base or layer on this machine; None, with a note, if it cannot be saved.

    Its files have second names in `folder`, under the name of the cache entry: another run may remove or replace that.
    `network` are the words before a command that give it the network of a bake.
    """
    key = _cache_key(start, boot)
    entry, taken = cache / "boots" / key, SavedBoot(folder / key)
    with _locked(entry, start.name, report):
        cached = _load_entry(entry, start, report) or _save_entry(entry, start, boot, network, report)
        if not cached.obstacle:
            os.utime(entry)
            with files.explain_errors(entry):
                _link_files(SavedBoot(entry), taken)
    if cached.obstacle:
        text = f"each bake boots it, since its boot cannot be saved: {cached.obstacle}"
        report(Event("note", "bake", start.name, text))
        return None
    _remove_unused(entry.parent)
    return taken


def remove_boot(boot: SavedBoot, cache: Path, name: str, report: Reporter) -> None:
    """Remove a saved boot that cannot be restored from the cache; `name` is that of its base or layer."""
    entry = cache / "boots" / boot.folder.name
    with _locked(entry, name, report):
        shutil.rmtree(entry, ignore_errors=True)


def _locked(entry: Path, name: str, report: Reporter) -> AbstractContextManager[None]:
    """Hold the lock of a cache entry."""
    return files.exclusive(
        entry.with_name(f"{entry.name}.lock"),
        f"another run is saving the boot of '{name}'",
        WAIT_SECONDS,
        lambda: report(Event("note", "bake", name, "waiting for another run that boots the same disk")),
    )


def _link_files(saved: SavedBoot, taken: SavedBoot) -> None:
    taken.folder.mkdir()
    for path in (saved.base, saved.disk, saved.memory, saved.machine):
        files.link_or_copy(path, taken.folder / path.name)


def _save_entry(
    entry: Path, start: StartDisk, boot: Boot, network: Sequence[str | Path], report: Reporter
) -> CachedBoot:
    files.require_space(entry.parent, NEEDED_BYTES, f"the saved boot of {start.name}")
    with files.scratch(entry.parent, "boot") as scratch:
        saved = SavedBoot(scratch / "entry")
        saved.folder.mkdir()
        obstacle, digests = "", {}
        try:
            os.link(start.path, saved.base)
            with report_step(report, "base", start.name, "boot it once, for all bakes that start from it"):
                saved_boot.save_boot(boot, saved, network)
            for path in (saved.disk, saved.memory, saved.machine):
                digests[path.name] = files.sha256(path)
                path.chmod(0o400)
        except (BakeryError, OSError) as error:
            detail = error.detail if isinstance(error, BakeryError) else ""
            obstacle = (detail or str(error)).splitlines()[0]
            shutil.rmtree(saved.folder)
            saved.folder.mkdir()
        created = datetime.now(UTC).isoformat(timespec="seconds")
        cached = CachedBoot(created, start.name, qemu.version(), digests, obstacle)
        documents.save(cached, saved.folder / DOCUMENT)
        shutil.rmtree(entry, ignore_errors=True)  # one that `_load_entry` refused
        saved.folder.rename(entry)
    return cached


def _load_entry(entry: Path, start: StartDisk, report: Reporter) -> CachedBoot | None:
    """The document of an entry whose files are those that were saved, of this disk; None if there is none."""
    cached = documents.find_valid(CachedBoot, entry / DOCUMENT)
    if cached is None:
        return None
    if cached.obstacle:
        return None if _find_age(entry) > RETRY_SECONDS else cached
    saved = SavedBoot(entry)
    if not saved.base.exists() or not _is_of_disk(saved, start):
        return None  # the disk was made again, perhaps because its file was damaged
    for file, digest in cached.digests.items():
        path = entry / file
        if not path.exists() or files.sha256(path) != digest:
            report(Event("note", "bake", start.name, f"its saved boot is damaged ({file}), and is made again"))
            return None
    return cached


def _is_of_disk(saved: SavedBoot, start: StartDisk) -> bool:
    """Whether a saved boot has the bytes of a disk, which may be a copy, as of a layer that machines share."""
    return saved.base.samefile(start.path) or files.sha256_by_stamp(saved.base) == start.sha256


def _remove_unused(folder: Path) -> None:
    """Keep the saved boots that bakes started from last, none of them for longer than a week after that."""
    entries = sorted((document.parent for document in folder.glob(f"*/{DOCUMENT}")), key=_find_age)
    for number, entry in enumerate(entries):
        if number >= KEPT or _find_age(entry) > UNUSED_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)


def _find_age(entry: Path) -> float:
    """The seconds since an entry was made or last used; infinite if another run has removed it."""
    try:
        return time.time() - entry.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _cache_key(start: StartDisk, boot: Boot) -> str:
    """The name of a cache entry: 16 hex digits over all that a saved guest depends on."""
    machine = qemu.MACHINE
    spec = {
        "format": FORMAT,
        "base": start.sha256,
        "qemu": qemu.version(),
        "machine": [machine.type, machine.cpu, machine.memory_mib, qemu.count_cpus(boot.accelerator), boot.accelerator],
        "firmware": [files.sha256(path) for path in qemu.firmware()],
        "programs": [files.sha256(path) for path in (boot.launcher, boot.wake)],
    }
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
