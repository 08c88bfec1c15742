"""A reader of a bucket never sees a part of a layer, wherever its writer was stopped."""

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from bakery.host.errors import NotFoundError, OutageError
from bakery.host.events import silent
from bakery.layers.bucket import LayerBucket
from bakery.layers.store import ArchiveList, Layer

KEY = "a" * 32


class MemoryBucket:
    """A bucket that takes so many objects."""

    location = "s3://cache"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.room = 100

    def open(self, key: str) -> tuple[int, Iterator[bytes]]:
        if key not in self.objects:
            raise NotFoundError("not in the bucket")
        return len(self.objects[key]), iter([self.objects[key]])

    def write(self, key: str, content: BinaryIO) -> None:
        if not self.room:
            raise OutageError("the bucket cannot be reached")
        self.room -= 1
        self.objects[key] = content.read()

    def remove(self, key: str) -> None:
        self.objects.pop(key, None)


def make_layer(content: bytes) -> Layer:
    archives = (ArchiveList("http://archive.example/dists/stable/InRelease", "b" * 64),)
    digest = hashlib.sha256(content).hexdigest()
    return Layer(KEY, "web", "nginx", False, archives, 12.5, 5, digest, "2026-11-30T12:00:00+00:00")


def send(bucket: MemoryBucket, content: bytes) -> None:
    LayerBucket(bucket, "web 1.0.0", silent).send(make_layer(content), BytesIO(content), b"signs " + content)


def read(bucket: MemoryBucket, folder: Path) -> tuple[bytes, bytes] | None:
    """The envelope and the disk of the layer, as another machine gets them."""
    reader = LayerBucket(bucket, "web 1.0.0", silent)
    shared = reader.find(KEY)
    if shared is None or not reader.fetch(shared.layer, folder / "disk"):
        return None
    return shared.envelope, (folder / "disk").read_bytes()


@pytest.mark.parametrize("room", range(3))
def test_a_new_layer_appears_when_it_is_complete(room: int, tmp_path: Path) -> None:
    bucket = MemoryBucket()
    bucket.room = room
    send(bucket, b"newer")
    assert LayerBucket(bucket, "web 1.0.0", silent).find(KEY) is None
    bucket.room = 3
    send(bucket, b"newer")
    assert read(bucket, tmp_path) == (b"signs newer", b"newer")


@pytest.mark.parametrize(
    ("room", "seen"),
    [
        (0, (b"signs older", b"older")),
        (1, (b"signs older", b"older")),
        (2, (b"signs older", b"older")),
        (3, (b"signs newer", b"newer")),
    ],
)
def test_disk_and_signature_are_always_those_of_the_document(
    room: int, seen: tuple[bytes, bytes], tmp_path: Path
) -> None:
    bucket = MemoryBucket()
    send(bucket, b"older")
    bucket.room = room
    send(bucket, b"newer")
    assert read(bucket, tmp_path) == seen


def test_a_document_in_the_place_of_another_layer_is_none() -> None:
    bucket = MemoryBucket()
    send(bucket, b"disk")
    other = "b" * 32
    bucket.objects |= {key.replace(KEY, other): content for key, content in bucket.objects.items()}
    assert LayerBucket(bucket, "web 1.0.0", silent).find(other) is None


def test_two_uploads_at_once_leave_the_layer_whose_document_came_last(tmp_path: Path) -> None:
    class Slow(MemoryBucket):
        """A bucket that another machine writes to before the document of the first comes."""

        def write(self, key: str, content: BinaryIO) -> None:
            if key.endswith("/layer.json") and not self.busy:
                self.busy = True
                send(self, b"other")
            super().write(key, content)

        busy = False

    bucket = Slow()
    send(bucket, b"first")
    assert read(bucket, tmp_path) == (b"signs first", b"first")


@pytest.mark.parametrize("kind", ["layer.json", ".dsse.json"])
def test_an_object_that_is_too_long_is_not_read(kind: str) -> None:
    """Whoever writes to the bucket could fill the memory of all machines."""
    bucket = MemoryBucket()
    send(bucket, b"disk")
    [name] = [key for key in bucket.objects if key.endswith(kind)]
    bucket.objects[name] += b" " * (1 << 20)
    assert LayerBucket(bucket, "web 1.0.0", silent).find(KEY) is None


def test_after_an_error_nothing_is_asked() -> None:
    bucket = MemoryBucket()
    texts: list[str] = []
    layers = LayerBucket(bucket, "web 1.0.0", lambda event: texts.append(event.text) if event.kind == "note" else None)
    bucket.room = 0
    for _ in range(2):
        layers.send(make_layer(b"disk"), BytesIO(b"disk"), b"")
    assert texts == ["the bake goes on without the layers in s3://cache: the bucket cannot be reached"]
    bucket.room = 3
    layers.send(make_layer(b"disk"), BytesIO(b"disk"), b"")
    assert bucket.objects == {}
