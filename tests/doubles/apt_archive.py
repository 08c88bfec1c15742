"""The demo's package archive with a server and keys of its own, for as long as a test needs it."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import pytest

from bakery.demo.stand_ins import apt
from bakery.machine import network
from doubles.serving import at_work

# Preferences of apt by which a package stays at version 1, and the task that gives them to an image.
PINNED = "bakery-pinned"
PIN = f"Package: {PINNED}\nPin: version 1\nPin-Priority: 1000\n"
PIN_TASK = f"""\
- name: Pin one package
  ansible.builtin.copy: {{dest: /etc/apt/preferences.d/pinned, content: {json.dumps(PIN)}, mode: "0644"}}
"""


DATED, STAMP = "dated", "%Y%m%dT%H%M%SZ"


class AptArchive(apt.AptArchive):
    """An archive that a server at `uri` shows."""

    def __init__(self, folder: Path, keys: Path, uri: str, server: ThreadingHTTPServer | None = None) -> None:
        super().__init__(folder, keys)
        self.uri, self._server = uri, server
        self.first: datetime | None = None  # the time of the first snapshot

    def take_snapshot(self) -> None:
        """Keep the archive as it is now at `dated`, for this time and later, until the next snapshot."""
        date = datetime.now(UTC)
        self.first = self.first or date
        folder = self._folder / DATED / date.strftime(STAMP)
        for name in ("dists", "pool"):
            shutil.copytree(self._folder / name, folder / name, dirs_exist_ok=True)

    def stop(self) -> None:
        """Let nobody read the archive any more."""
        assert self._server
        self._server.shutdown()
        self._server.server_close()

    @property
    def dated(self) -> str:
        """The address of the archive at some time, as BAKERY_DATED_ARCHIVES wants it."""
        return f"{self.uri}/{DATED}/{{date:{STAMP}}}"

    def signed_list(self, suite: str) -> bytes:
        """The InRelease of a suite, as it is now."""
        return (self._folder / "dists" / suite / "InRelease").read_bytes()


class DatedHandler(apt.ArchiveHandler):
    """Shows the newest snapshot before the time in an address, as the services of Debian and Ubuntu do."""

    def translate_path(self, path: str) -> str:
        match = re.search(f"/{DATED}/([^/]+)/", path)
        if not match:
            return super().translate_path(path)
        times = [folder.name for folder in Path(self.directory, DATED).iterdir() if folder.name <= match[1]]
        return super().translate_path(path.replace(match[1], max(times, default="none"), 1))


@contextmanager
def expired_lists() -> Iterator[None]:
    """Lists that are signed in the block are not valid any more, as those of old snapshots are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apt, "RELEASE", apt.RELEASE.replace("Date:", "Valid-Until: Thu, 01 Jan 2026 00:00:00 UTC\nDate:"))
        yield


@contextmanager
def apt_archive(folder: Path) -> Iterator[AptArchive]:
    """An empty archive, with a server that shows it until the block ends."""
    keys = Path(tempfile.mkdtemp(prefix="gpg-"))  # sockets there need a short path
    try:
        with (
            at_work(ThreadingHTTPServer(("127.0.0.1", 0), partial(DatedHandler, directory=folder))) as server,
            patch.dict(os.environ, {network.PORTS: str(server.server_port)}),  # bakes may reach it
        ):
            yield AptArchive(folder, keys, f"http://127.0.0.1:{server.server_port}", server)
    finally:
        apt.stop_agent(keys)
        shutil.rmtree(keys, ignore_errors=True)  # the agent removes its sockets at the same time
