"""Speed and false alarms of the search for secrets, on files of this machine as one disk."""

import hashlib
import random
import string
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bakery.machine import disk_image, secret_search

SIZE = 1 << 30  # bytes of files
SECRETS = 10
SIGNS = string.ascii_letters + string.digits + "&<>\"'$!#%/+ "


@dataclass(frozen=True)
class Result:
    """Bytes read, processor seconds of a hash and of the search over them, and the number of false alarms."""

    size: int
    hash_seconds: float
    search_seconds: float
    alarms: int


def measure(folder: Path) -> Result:
    """Search programs, libraries and documentation, many of them compressed, for values that are nowhere."""
    raw = folder / "disk.raw"
    with raw.open("wb") as disk:
        archive = ["tar", "--create", "--ignore-failed-read", "--directory=/usr", "share", "lib", "bin"]
        with subprocess.Popen(archive, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tar:
            assert tar.stdout
            while disk.tell() < SIZE and (piece := tar.stdout.read(1 << 20)):
                disk.write(piece)
            tar.kill()
    return measure_disk(raw)


def measure_disk(raw: Path) -> Result:
    """The same for a disk."""
    size = sum(end - start for start, end in disk_image.data_extents(raw))
    began = time.process_time()
    _hash(raw)
    hashed = time.process_time()
    checks = secret_search.search(raw, _make_values())
    alarms = sum(not check.passed for check in checks)
    return Result(size, hashed - began, time.process_time() - hashed, alarms)


def _hash(raw: Path) -> None:
    digest = hashlib.sha256()
    with raw.open("rb") as stream:
        for start, end in disk_image.data_extents(raw):
            stream.seek(start)
            for offset in range(start, end, 1 << 20):
                digest.update(stream.read(min(1 << 20, end - offset)))


def _make_values() -> list[str]:
    generator = random.SystemRandom()
    return ["".join(generator.choices(SIGNS, k=20)) + "x" for _ in range(SECRETS)]
