"""The package archives of one refresh: each is asked once, and only for what is new since the last one."""

import copy
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError, raise_all
from bakery.host.process import ProcessError
from bakery.model.observations import Archive

ANSWER_SECONDS = 20  # of silence, after which an archive is out of reach
ARCHIVE_SECONDS = 1800.0  # for one archive: the first lists of a distribution from a slow mirror
KEPT_SECONDS = 30 * 86400.0  # lists that no refresh asked for so long are removed


@dataclass(frozen=True)
class Failure:
    """A way in which an archive fails: the package manager's output, our message, and a hint."""

    pattern: str
    message: str
    hint: str
    kind: type[BakeryError] = BakeryError


@dataclass(frozen=True)
class Request:
    """A question to an archive.

    `identity` is a digest over all that decides the answer. `ask` brings the lists in a folder up to date, and returns
    the archive's state; BakeryError if the archive does not answer as it should.
    """

    identity: str
    name: str
    ask: Callable[[Path], Archive]


@dataclass(frozen=True)
class Fetched:
    """The state of an archive, or the error that asking it gave."""

    archive: Archive | None = None
    error: BakeryError | None = None


@dataclass
class Archives:
    """The archives of one refresh. `cache` keeps their lists from one refresh to the next, `scratch` those of this one.

    Both must be on one file system.
    """

    cache: Path
    scratch: Path
    _fetched: dict[str, Fetched] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    def fetch_all(self, requests: Sequence[Request]) -> tuple[Archive, ...]:
        """Fetch each; one BakeryError for all that fail."""
        states, errors = [], []
        for request in requests:
            try:
                states.append(self.fetch(request))
            except BakeryError as error:
                errors.append(error)
        raise_all(errors)
        return tuple(states)

    def fetch(self, request: Request) -> Archive:
        """Ask an archive; BakeryError if it does not answer as it should.

        Asked before in this refresh, it has the same answer, whichever it was.
        """
        identity = request.identity
        with self._locks.setdefault(identity, threading.Lock()):
            if identity not in self._fetched:
                try:
                    self._fetched[identity] = Fetched(archive=self._ask_archive(request))
                except ProcessError:
                    raise  # the package manager does not work, which says nothing about the archive
                except BakeryError as error:
                    self._fetched[identity] = Fetched(error=error)
        fetched = self._fetched[identity]
        if fetched.archive is None:
            assert fetched.error
            raise copy.copy(fetched.error) from fetched.error.__cause__  # a copy, since several images raise it
        return fetched.archive

    def state_of(self, identity: str) -> Archive | None:
        """The state of an archive that answered in this refresh."""
        return self._fetched.get(identity, Fetched()).archive

    def link_lists(self, archive: Archive, folder: Path) -> None:
        """Link the lists of an archive into a folder; they stay as they are now. A file that is there already stays."""
        _link_files(self.scratch / archive.identity, folder)

    def remove_unused(self) -> None:
        """Remove the lists that no refresh has asked for in a month."""
        oldest = time.time() - KEPT_SECONDS
        for folder in self.cache.iterdir() if self.cache.is_dir() else ():
            if folder.is_dir() and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)

    def _ask_archive(self, request: Request) -> Archive:
        folder = self.cache / request.identity
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        busy = f"another refresh is asking the archive {request.name}"
        with files.exclusive(self.cache / f"{request.identity}.lock", busy, timeout=ARCHIVE_SECONDS):
            archive = request.ask(folder)
            _link_files(folder, self.scratch / request.identity)
        return archive


def explain_failure(failures: Sequence[Failure], name: str, output: str, detail: str) -> BakeryError:
    """The error for the output of a package manager about the archive `name`: the first failure that matches."""
    failure = next(failure for failure in failures if re.search(failure.pattern, output))
    return failure.kind(f"the archive {name} {failure.message}", detail=detail, hint=failure.hint)


def _link_files(origin: Path, folder: Path) -> None:
    for path in origin.rglob("*"):
        link = folder / path.relative_to(origin)
        if path.is_file() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, link)
