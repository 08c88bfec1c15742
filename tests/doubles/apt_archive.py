"""The demo's package archive with a server and keys of its own, for as long as a test needs it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

from bakery.demo.stand_ins import apt
from doubles.serving import at_work


class AptArchive(apt.AptArchive):
    """An archive that a server at `uri` shows."""

    def __init__(self, folder: Path, keys: Path, uri: str) -> None:
        super().__init__(folder, keys)
        self.uri = uri


@contextmanager
def apt_archive(folder: Path) -> Iterator[AptArchive]:
    """An empty archive, with a server that shows it until the block ends."""

    keys = Path(tempfile.mkdtemp(prefix="gpg-"))  # sockets there need a short path
    try:
        with at_work(ThreadingHTTPServer(("127.0.0.1", 0), partial(apt.ArchiveHandler, directory=folder))) as server:
            yield AptArchive(folder, keys, f"http://127.0.0.1:{server.server_port}")
    finally:
        subprocess.run(["gpgconf", "--homedir", keys, "--kill", "gpg-agent"], check=True)
        shutil.rmtree(keys, ignore_errors=True)  # the agent removes its sockets at the same time
