"""Layers: the disks of bakes after some of their steps, kept by key, so that the next bake starts there.

A layer is one file without a backing file. None depends on another, so any may be removed at any time.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from bakery.host import files
from bakery.host.errors import BakeryError, raise_all
from bakery.host.events import Event, Reporter
from bakery.host.parallel import attempt
from bakery.model import documents
from bakery.model.documents import Strict, Time

LIMIT = 20 << 30  # bytes of all layers together: about 25 of a Debian server
WAIT_SECONDS = 4 * 3600.0  # for another bake that makes the same layer: as long as a bake may take
DISK, DOCUMENT, ENVELOPE = "disk.qcow2", "layer.json", "layer.dsse.json"
KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, order=True)
class ArchiveList(Strict):
    """A list of packages that a layer was made with: InRelease of apt or repomd.xml of dnf.

    `url` is without a login. That of a list of mirrors has its kind before it: `metalink+` or `mirrorlist+`.
    """

    url: str
    sha256: str


@dataclass(frozen=True)
class Layer(Strict):
    """The document of a layer.

    It was made in the bake of `image`, and has the work up to `last`, the last role in it; empty if there is only the
    base with updates and packages. `seconds` is the time that this work took, `size` the bytes of the disk file, whose
    digest is `sha256`. `upgraded` says that the base had updates, and `archives` are the lists that decided which
    packages it has. `created` is the time when the oldest work in it began.
    """

    key: str
    image: str
    last: str
    upgraded: bool
    archives: tuple[ArchiveList, ...]
    seconds: float
    size: int
    sha256: str
    created: Time
    schema: Literal["bakery/layer/1"] = "bakery/layer/1"


def name_end(last: str) -> str:
    """The end of a layer in messages, by its last role."""
    return f"after the role {last}" if last else "with updates and packages"


class LayerStore:
    """The layers in a folder. In a `shared` one, others may write to a disk after its digest was compared."""

    def __init__(self, folder: Path, report: Reporter, *, shared: bool = False) -> None:
        self.folder = folder
        self._report = report
        self._noted: set[str] = set()
        self._fetch = shutil.copyfile if shared else files.link_or_copy

    def list_layers(self) -> list[tuple[Layer, float]]:
        """Each layer with the time of its last use, in seconds since the epoch, the last used one first."""
        entries = []
        for document in self.folder.glob(f"*/{DOCUMENT}"):
            layer = self.find(document.parent.name)
            if layer:
                with suppress(FileNotFoundError):  # another bake removed it
                    entries.append((layer, document.parent.stat().st_mtime))
        return sorted(entries, key=lambda entry: -entry[1])

    def find(self, key: str) -> Layer | None:
        """The document of a layer, whose disk may be damaged; None without one, or with that of another layer."""
        layer = documents.find_valid(Layer, self.folder / key / DOCUMENT)
        return layer if layer and layer.key == key else None

    def envelope(self, layer: Layer) -> bytes:
        """The signature of a layer's document; empty if it is gone."""
        try:
            return (self.folder / layer.key / ENVELOPE).read_bytes()
        except OSError:
            return b""

    def take(self, layer: Layer, disk: Path) -> bool:
        """Bring a layer's disk to a path, where it stays if the layer is removed; False if it is gone or damaged.

        A note names a layer that cannot be read, and a damaged one, which is removed.
        """
        entry = self.folder / layer.key
        try:
            self._fetch(entry / DISK, disk)
            digest = files.sha256(disk)
        except OSError as error:
            disk.unlink(missing_ok=True)
            if not isinstance(error, FileNotFoundError):
                self._note(layer, f"the layer {layer.key} is not used: {error.strerror}")
            return False
        with suppress(OSError):  # of another user
            os.utime(entry)
        if digest == layer.sha256:
            return True
        disk.unlink()
        end = "was removed"
        try:
            self.remove(layer.key)
        except BakeryError as error:
            end = f"cannot be removed ({error.message})"
        reason = "its disk has another digest than when it was kept"
        self._note(layer, f"the layer {layer.key} is damaged, and {end}: {reason}")
        return False

    def _note(self, layer: Layer, text: str) -> None:
        """Report a note, and the same one only once."""
        if text not in self._noted:
            self._noted.add(text)
            self._report(Event("note", "bake", layer.image, text))

    def keep(self, layer: Layer, draft: Path, envelope: bytes) -> None:
        """Move a disk to the store, in place of an older one with its key; `envelope` signs the document.

        Then remove the least recently used layers until the others take at most LIMIT bytes; a note if they stay.
        """
        entry = self.folder / layer.key
        with files.scratch(self.folder, "layer") as scratch:
            folder = scratch / "entry"
            folder.mkdir()
            draft.chmod(0o444)
            files.move(draft, folder / DISK)
            files.write_atomic(folder / ENVELOPE, envelope)
            documents.save(layer, folder / DOCUMENT)
            with suppress(FileNotFoundError):
                entry.rename(scratch / "older")
            try:
                folder.rename(entry)
            except OSError as error:
                # Another bake kept the same layer at this moment.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        try:
            self.collect(LIMIT)
        except BakeryError as error:  # layers of another user
            self._note(layer, f"older layers cannot be removed from {self.folder}: {error.message}")

    def collect(self, limit: int) -> list[Layer]:
        """Remove the least recently used layers until the others take at most `limit` bytes; those removed.

        Layers without a document of any release are removed as well: no bake can start from them. Nothing else in the
        folder is touched. DiskError if some cannot be removed; the others are nevertheless.
        """
        keys = [entry.name for entry in self.folder.glob("*/") if self._is_remnant(entry.name)]
        excess, total = [], 0
        for layer, _ in self.list_layers():
            total += layer.size
            if total > limit:
                excess.append(layer)
        outcomes = [attempt(key, partial(self.remove, key)) for key in (*keys, *(layer.key for layer in excess))]
        raise_all([outcome.error for outcome in outcomes if outcome.error])
        return excess

    def _is_remnant(self, key: str) -> bool:
        """Whether a folder has the name of a layer, and no document of it: one of a newer release counts as well."""
        if not KEY.fullmatch(key):
            return False
        try:
            document = json.loads((self.folder / key / DOCUMENT).read_bytes())
        except (FileNotFoundError, ValueError):
            return True
        except OSError:  # it may be readable later, or for another user
            return False
        return not isinstance(document, dict) or document.get("key") != key

    def remove(self, key: str) -> None:
        """Remove a layer; no error if it is gone."""
        with files.scratch(self.folder, "layer") as scratch:
            try:
                (self.folder / key).rename(scratch / "entry")
            except FileNotFoundError:
                return

    @contextmanager
    def exclusive(self, key: str, subject: str) -> Iterator[bool]:
        """Hold the lock of a layer that a bake is going to make; True if another bake had it until now."""
        waited = []

        def note_wait() -> None:
            text = "waiting for another bake that makes the same layer"
            waited.append(text)
            self._report(Event("note", "bake", subject, text))

        lock = self.folder / f"{key}.lock"
        with files.exclusive(lock, "another bake is making the same layer", WAIT_SECONDS, note_wait):
            yield bool(waited)

    def verify(self, layer: Layer) -> bool:
        """Whether the disk of a layer has the bytes that were kept; not if it cannot be read."""
        try:
            return files.sha256(self.folder / layer.key / DISK) == layer.sha256
        except OSError:  # it is gone, is no file, or is on a disk that fails
            return False
