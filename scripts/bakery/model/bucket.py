"""A bucket through which machines share files, as its cloud offers it and others use it."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol


class Bucket(Protocol):
    """The objects below one prefix of a bucket. OutageError if the bucket does not answer, BakeryError if it refuses.

    `location` names it in messages.
    """

    location: str

    def open(self, key: str) -> tuple[int, Iterator[bytes]]:
        """The length of an object in bytes, and its content in chunks; NotFoundError if there is none."""

    def write(self, key: str, content: BinaryIO) -> None:
        """Write an object in place of any older one. It appears when it is complete."""

    def remove(self, key: str) -> None:
        """Remove an object; no error if there is none."""
