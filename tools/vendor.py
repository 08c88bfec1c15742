"""The vendor's release of a tool: downloaded, checked against its SHA-256, unpacked."""

import hashlib
import http.client
import platform
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tools.pins import Release
from tools.progress import Progress, SetupError

# Seconds without an answer before a vendor counts as out of reach; a release is 20-150 MB but streams steadily.
SILENCE_S = 10
CHUNK = 1 << 20


class UnreachableError(Exception):
    """The release cannot be fetched from here; another way to the tool may still work."""


class Vendor:
    """Remembers hosts that did not answer, so that each costs its timeout only once per run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._dead: set[str] = set()

    def fetch(self, release: Release, folder: Path, name: str) -> Path:
        """Puts the program into `folder` as `name`. A wrong checksum always ends the set-up."""
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise UnreachableError(f"no release is pinned for {platform.system()} on {platform.machine()}")
        archive = folder / release.archive
        digest = self._download_file(release.url, archive)
        expected = release.sha256 or self._from_sums(release, folder)
        if digest != expected:
            raise SetupError(
                f"{release.url} has SHA-256 {digest}, but {expected} is expected; the file was deleted",
                "try again; if the error remains, a proxy between here and the vendor changes downloads",
            )
        program = _unpack_member(archive, release.member, folder / name)
        archive.unlink()
        return program

    def _from_sums(self, release: Release, folder: Path) -> str:
        if release.sums is None:
            raise SetupError(f"tools.toml has neither sha256 nor sums for {release.archive}")
        sums = folder / "SHA256SUMS"
        self._download_file(release.sums, sums)
        lines = [line.split() for line in sums.read_text().splitlines()]
        sums.unlink()
        for line in lines:
            if len(line) == 2 and line[1] == release.archive:
                return line[0]
        raise SetupError(f"{release.sums} does not name {release.archive}")

    def _download_file(self, url: str, target: Path) -> str:
        """Writes the file and returns its SHA-256 as hex."""
        host = urlsplit(url).netloc
        if host in self._dead:
            raise UnreachableError(f"{host} did not answer earlier in this run")
        try:
            return self._stream_file(url, target)
        except urllib.error.HTTPError as error:
            raise UnreachableError(f"{host} answered {error.code} {error.reason}") from error
        except (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException) as error:
            self._dead.add(host)
            raise UnreachableError(f"{host}: {getattr(error, 'reason', error)}") from error

    def _stream_file(self, url: str, target: Path) -> str:
        digest = hashlib.sha256()
        size = 0
        with urllib.request.urlopen(url, timeout=SILENCE_S) as answer, target.open("wb") as file:
            while chunk := answer.read(CHUNK):
                self._progress.check_stopped()
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            announced = answer.headers["Content-Length"]
        # A sized read() of http.client does not complain when the connection ends early.
        if announced is not None and size != int(announced):
            raise http.client.IncompleteRead(b"", int(announced) - size)
        return digest.hexdigest()


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as unzipped, unzipped.open(member) as packed:
            yield packed
        return
    with tarfile.open(archive) as tar:
        file = tar.extractfile(member)
        if file is None:
            raise SetupError(f"{member} in {archive.name} is not a file")
        with file:
            yield file


def _unpack_member(archive: Path, member: str, program: Path) -> Path:
    with _open_member(archive, member) as packed, program.open("wb") as file:
        shutil.copyfileobj(packed, file, CHUNK)
    program.chmod(0o755)
    return program
