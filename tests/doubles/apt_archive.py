"""The demo's package archive with a server and keys of its own, for as long as a test needs it."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

from bakery.demo.stand_ins import apt
from doubles.serving import at_work

# Preferences of apt by which a package stays at version 1, and the task that gives them to an image.
PINNED = "bakery-pinned"
PIN = f"Package: {PINNED}\nPin: version 1\nPin-Priority: 1000\n"
PIN_TASK = f"""\
- name: Pin one package
  ansible.builtin.copy: {{dest: /etc/apt/preferences.d/pinned, content: {json.dumps(PIN)}, mode: "0644"}}
"""


class AptArchive(apt.AptArchive):
    """An archive that a server at `uri` shows."""

    def __init__(self, folder: Path, keys: Path, uri: str) -> None:
        super().__init__(folder, keys)
        self.uri = uri

    def signed_list(self, suite: str) -> bytes:
        """The InRelease of a suite, as it is now."""
        return (self._folder / "dists" / suite / "InRelease").read_bytes()


@contextmanager
def apt_archive(folder: Path) -> Iterator[AptArchive]:
    """An empty archive, with a server that shows it until the block ends."""
    keys = Path(tempfile.mkdtemp(prefix="gpg-"))  # sockets there need a short path
    try:
        with at_work(ThreadingHTTPServer(("127.0.0.1", 0), partial(apt.ArchiveHandler, directory=folder))) as server:
            yield AptArchive(folder, keys, f"http://127.0.0.1:{server.server_port}")
    finally:
        apt.stop_agent(keys)
        shutil.rmtree(keys, ignore_errors=True)  # the agent removes its sockets at the same time
