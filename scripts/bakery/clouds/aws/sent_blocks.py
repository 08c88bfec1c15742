"""A log of the blocks that AWS has confirmed, beside the disk: an upload goes on where a killed run stopped.

AWS itself lists the blocks of completed snapshots only.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bakery.host import files

FILE = "upload-aws.log"


@dataclass(frozen=True)
class UnfinishedUpload:
    """A snapshot that a run has begun, of a disk with the raw digest `content`.

    `parent` is the ID of another snapshot, or "none". `sent` are the indexes of the blocks that AWS has confirmed.
    """

    snapshot: str
    content: str
    parent: str
    sent: frozenset[int] = frozenset()


def read_log(path: Path) -> UnfinishedUpload | None:
    """The upload of a log; None if there is no log, or none that can be read."""
    try:
        head, *indexes = path.read_text().split("\n")[:-1]  # a killed run may have left half a line
        snapshot, content, parent = head.split()
        return UnfinishedUpload(snapshot, content, parent, frozenset(map(int, indexes)))
    except (OSError, ValueError):
        return None


@contextmanager
def open_log(path: Path, upload: UnfinishedUpload) -> Iterator[Callable[[int], None]]:
    """Write the log of an upload, and remove it if the body succeeds; the function adds a block, in any thread."""
    lines = (f"{upload.snapshot} {upload.content} {upload.parent}", *map(str, sorted(upload.sent)))
    files.write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
    with path.open("ab", buffering=0) as log:
        yield lambda index: _add_line(log.fileno(), index)
    path.unlink()


def _add_line(file: int, index: int) -> None:
    os.write(file, b"%d\n" % index)  # one call, so that lines of two threads do not mix
