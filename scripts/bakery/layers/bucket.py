"""Layers in a bucket, through which machines share them; a bake looks in its own folder first."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from bakery.host import files
from bakery.host.errors import BakeryError, NotFoundError, describe_error
from bakery.host.events import Event, Reporter, report_step
from bakery.host.parallel import is_interrupted
from bakery.layers.store import DOCUMENT, Layer, name_end
from bakery.model import documents
from bakery.model.bucket import Bucket

DOCUMENT_BYTES = 1 << 20  # of a document or an envelope at most; those of a layer with four archives have 3 KB together


@dataclass(frozen=True)
class SharedLayer:
    """A layer in the bucket: its document, which nobody has verified yet, and the envelope beside it."""

    layer: Layer
    envelope: bytes


class LayerBucket:
    """The layers in a bucket, for one bake. After an error it is not asked again: the bake goes on without it.

    The objects of a layer are KEY/disk-SHA256.qcow2, KEY/layer-SHA256.dsse.json and KEY/layer.json, written in this
    order. The digests are of the disk and of the document, so what a document needs is there, and never that of another
    bake which sent a layer with the same key.
    """

    def __init__(self, bucket: Bucket, subject: str, report: Reporter) -> None:
        self.location = bucket.location
        self._bucket = bucket
        self._subject = subject
        self._report = report
        self._closed = False

    def close(self) -> None:
        """Ask the bucket for nothing any more."""
        self._closed = True

    def find(self, key: str) -> SharedLayer | None:
        """A layer whose disk may be gone or damaged; None without one, or with the document of another layer."""
        if self._closed:
            return None
        try:
            data = self._read(f"{key}/{DOCUMENT}")
            envelope = self._read(_name_envelope(key, data))
        except NotFoundError:
            return None
        except BakeryError as error:
            self._give_up(error)
            return None
        with suppress(BakeryError):  # of a document that is damaged, or of another version
            layer = documents.parse(Layer, data, key)
            return SharedLayer(layer, envelope) if layer.key == key else None
        return None

    def fetch(self, layer: Layer, disk: Path) -> bool:
        """Download the disk of a layer to a path; False if it is gone or damaged. A damaged layer is removed."""
        try:
            length, chunks = self._bucket.open(_name_disk(layer))
            files.require_space(disk.parent, length, "the disk of a layer")
            text = f"fetch the layer {name_end(layer.last)}"
            with report_step(self._report, "bake", self._subject, text):
                digest = self._save(chunks, disk, length, text)
        except NotFoundError:
            return False
        except BakeryError as error:
            self._give_up(error)
            return False
        if digest == layer.sha256:
            return True
        self._remove_damaged(layer)
        return False

    def send(self, layer: Layer, disk: BinaryIO, envelope: bytes) -> None:
        """Upload a layer in place of an older one with its key, unless it is there."""
        if self._closed or is_interrupted():
            return
        data = documents.dump(layer)
        try:
            if self._has(f"{layer.key}/{DOCUMENT}", data):
                return
            text = f"send the layer {name_end(layer.last)} to {self.location}"
            with report_step(self._report, "bake", self._subject, text):
                self._bucket.write(_name_disk(layer), disk)
                self._bucket.write(_name_envelope(layer.key, data), BytesIO(envelope))
                self._bucket.write(f"{layer.key}/{DOCUMENT}", BytesIO(data))
        except BakeryError as error:
            self._give_up(error)

    def _has(self, key: str, data: bytes) -> bool:
        try:
            return self._read(key) == data
        except NotFoundError:
            return False

    def _read(self, key: str) -> bytes:
        """A small object; NotFoundError if there is none, or a large one that nobody but a stranger wrote."""
        length, chunks = self._bucket.open(key)
        if length > DOCUMENT_BYTES:
            raise NotFoundError("no document of a layer", where=f"{self.location}/{key}")
        return b"".join(chunks)

    def _save(self, chunks: Iterator[bytes], disk: Path, length: int, text: str) -> str:
        """Write a download, and return its SHA-256."""
        digest, done, last_percent = hashlib.sha256(), 0, -1
        with files.explain_refusals(disk), disk.open("wb") as stream:
            for chunk in chunks:
                if is_interrupted():
                    raise KeyboardInterrupt
                stream.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                percent = done * 100 // length
                if percent != last_percent:
                    last_percent = percent
                    self._report(Event("progress", "bake", self._subject, text, fraction=done / length))
        return digest.hexdigest()

    def _remove_damaged(self, layer: Layer) -> None:
        """Remove the objects of a layer, the document first, so that nobody finds a part of it."""
        end = "was removed"
        try:
            envelope = _name_envelope(layer.key, documents.dump(layer))
            for key in (f"{layer.key}/{DOCUMENT}", envelope, _name_disk(layer)):
                self._bucket.remove(key)
        except BakeryError as error:
            end = f"cannot be removed: {error.message}"
        self._note(f"the layer {layer.key} in {self.location} is damaged, since its disk has another digest, and {end}")

    def _give_up(self, error: BakeryError) -> None:
        self.close()
        self._note(describe_loss(self.location, error))

    def _note(self, text: str) -> None:
        self._report(Event("note", "bake", self._subject, text))


def describe_loss(location: str, error: BakeryError) -> str:
    """The text that says why a bake goes on without a bucket, and what helps."""
    hint = f" ({error.hint})" if error.hint else ""
    return f"the bake goes on without the layers in {location}: {describe_error(error)}{hint}"


def _name_disk(layer: Layer) -> str:
    return f"{layer.key}/disk-{layer.sha256}.qcow2"


def _name_envelope(key: str, document: bytes) -> str:
    return f"{key}/layer-{hashlib.sha256(document).hexdigest()}.dsse.json"
